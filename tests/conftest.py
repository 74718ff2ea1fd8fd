"""Fixtures: every test that touches storage runs on SQLite and on PostgreSQL, for real."""

import functools
import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from support.installation import Installation, Server, SharedServer
from support.postgres import Cluster

pytest_plugins = ["support.browser", "support.proxies.doors", "support.npm"]

# A machine under load is no reason for a property to fail.
settings.register_profile("hourpass", deadline=None)
settings.load_profile("hourpass")
# Reading the machine's certificates is most of what a new httpx client costs, and nearly all of
# them speak plain HTTP to a server of ours.
pytest.MonkeyPatch().setattr(
    "httpx._transports.default.create_ssl_context", functools.cache(httpx.create_ssl_context)
)
# A shell's background job ignores Ctrl-C, and so would every program that a test ends by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BACKENDS = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster, made when the first test needs it."""
    running = Cluster()
    yield running
    running.remove()


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The database under test."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def new_installation(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Installation]:
    """Makes fresh installations with the test catalogue: copies of one that was migrated."""
    template = tmp_path_factory.mktemp(f"template-{backend}")
    if backend == "sqlite":
        first = Installation(template, f"sqlite:///{template}/hourpass.db")
        first.apply_catalogue()
        first.close()
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.execute("create database template_hp")
        first = Installation(template, cluster.url("template_hp"))
        first.apply_catalogue()
        first.close()

    def make(folder: Path, **extra: str) -> Installation:
        folder.mkdir(parents=True, exist_ok=True)
        if backend == "sqlite":
            shutil.copy(template / "hourpass.db", folder / "hourpass.db")
            return Installation(folder, f"sqlite:///{folder}/hourpass.db", extra)
        name = f"hp_{next(_numbers)}"
        cluster.execute(f"create database {name} template template_hp strategy file_copy")
        return Installation(folder, cluster.url(name), extra)

    return make


@pytest.fixture
def installation(
    new_installation: Callable[..., Installation], tmp_path: Path
) -> Iterator[Installation]:
    """A fresh installation of the test's own; no server on it."""
    made = new_installation(tmp_path / "installation")
    yield made
    made.close()


@pytest.fixture(scope="module")
def home(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation that the tests of one file share; each has clients of its own on it."""
    made = new_installation(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_server(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One running server for tests that only need clients of their own on it."""
    made = new_installation(tmp_path_factory.mktemp("shared"))
    made.context  # noqa: B018  (migrates)
    running = SharedServer(made)
    yield running
    running.stop()
    made.close()


@pytest.fixture
def server(installation: Installation) -> Iterator[Server]:
    """A running server of the test's own, for tests that end it or look at all it wrote."""
    running = Server(installation)
    yield running
    running.stop()


@pytest.fixture
def sqlite_installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh embedded installation, for what only SQLite does."""
    made = Installation(tmp_path / "sqlite", f"sqlite:///{tmp_path}/hourpass.db")
    made.apply_catalogue()
    yield made
    made.close()


@pytest.fixture
def postgres_installation(cluster: Cluster, tmp_path: Path) -> Iterator[Installation]:
    """A fresh installation on PostgreSQL, for what only PostgreSQL does."""
    name = f"hp_own_{next(_numbers)}"
    cluster.execute(f"create database {name}")
    made = Installation(tmp_path / "postgres", cluster.url(name))
    made.apply_catalogue()
    yield made
    made.close()
