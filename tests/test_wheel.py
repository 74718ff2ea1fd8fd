"""What is shipped: the wheel is built, unpacked elsewhere, and used without the source tree."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from support.installation import Finished, Installation, Server, clean_environ

_ROOT = Path(__file__).resolve().parent.parent
_SITE_PACKAGES = sysconfig.get_path("purelib")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    _build("wheel", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip lays it down."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def base_install(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """`pip install hourpass`: the wheel and what it requires without any extra, nothing else."""
    folder = tmp_path_factory.mktemp("base")
    (info,) = unpacked.glob("*.dist-info")
    for name in _closure(PathDistribution(info).requires or []):
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            if top not in ("__pycache__", "bin"):
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return [unpacked, folder]


def _build(kind: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)


def _closure(requirements: list[str]) -> set[str]:
    """The names of all distributions that these requirements bring in."""
    names: set[str] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name not in names:
            names.add(requirement.name)
            further = [Requirement(text) for text in distribution(requirement.name).requires or []]
            waiting += [(one, wanted) for one in further for wanted in (requirement.extras or {""})]
    return names


def _python(
    path: list[Path], *arguments: str, folder: Path, environ: Mapping[str, str] = {}
) -> Finished:
    """Python with only `path` to import from: no site-packages, no source tree."""
    paths = ":".join(map(str, path))
    done = subprocess.run(
        [sys.executable, "-S", "-P", *arguments],
        env={**clean_environ(), "PYTHONPATH": paths, **environ},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_everything_is_in_the_wheel(wheel: Path) -> None:
    """Every file below src, the migrations and the demo's catalogue among them; no other."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (info,) = {name.split("/")[0] for name in archive.namelist()} - {"hourpass"}
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    source = _ROOT / "src"
    expected = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert names == expected
    assert names >= {
        "hourpass/py.typed",
        "hourpass/demo/hourpass.toml",
        "hourpass/server/db/migrations/versions/0001_first_schema.py",
    }
    assert "hourpass = hourpass.cli.main:run" in scripts
    assert "Apache License" in licence


def test_all_of_the_repository_is_in_the_sdist(tmp_path: Path) -> None:
    """So that its tests can be run from it, and `make` works in it."""
    if not (_ROOT / ".git").exists():
        pytest.skip("requires a clone: only git knows what belongs to the repository")
    _build("sdist", tmp_path)
    (built,) = tmp_path.iterdir()
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert set(listed.stdout.splitlines()) - names == set()


@pytest.fixture
def running(sqlite_installation: Installation) -> Iterator[Server]:
    """A server to get tokens from."""
    server = Server(sqlite_installation)
    yield server
    server.stop()


@pytest.mark.spec("contract", "Command line", "The last line works after `pip install hourpass`")
def test_an_integrator_needs_nothing_of_the_server(
    running: Server, base_install: list[Path], tmp_path: Path
) -> None:
    """Without the server's dependencies: a token is got, and an API checks it."""
    credentials = running.installation.create_client("customers:read")
    environ = {
        "HOURPASS_ISSUER": running.url,
        "HOURPASS_CLIENT_ID": credentials.client_id,
        "HOURPASS_CLIENT_SECRET": credentials.secret,
    }
    got = _python(base_install, "-m", "hourpass", "token", folder=tmp_path, environ=environ)
    script = (
        "import importlib.util, sys\n"
        "from hourpass.resource_server import Verifier\n"
        f"token = Verifier({running.url!r}, 'https://api.example.com').verify(sys.argv[1])\n"
        "absent = [n for n in ('sqlalchemy', 'fastapi', 'psycopg', 'uvicorn', 'alembic')\n"
        "          if importlib.util.find_spec(n) is None]\n"
        "print(token.client_id, *sorted(token.scopes), *absent)\n"
    )
    checked = _python(base_install, "-c", script, got.stdout.strip(), folder=tmp_path)

    assert (got.status, got.stderr) == (0, "")
    assert (checked.status, checked.stderr) == (0, "")
    assert checked.stdout.split() == [
        *(credentials.client_id, "customers:read"),
        *("sqlalchemy", "fastapi", "psycopg", "uvicorn", "alembic"),
    ]


@pytest.mark.spec("contract", "Command line", "the rest says `pip install 'hourpass[server]'`")
def test_the_servers_commands_say_what_to_install(base_install: list[Path], tmp_path: Path) -> None:
    """One line, exit status 1; help and version work."""

    def hourpass(*arguments: str) -> Finished:
        return _python(base_install, "-m", "hourpass", *arguments, folder=tmp_path)

    for command in (("clients", "list"), ("serve",)):
        refused = hourpass(*command)
        assert (refused.status, refused.stdout) == (1, "")
        assert refused.stderr == (
            "hourpass: this command needs the server, which is not installed: "
            "pip install 'hourpass[server]'\n"
        )
    assert hourpass("--version").stdout == "hourpass 0.1.0\n"
    shown = hourpass("--help")
    assert shown.status == 0
    assert "\n  token " in shown.stdout
    assert "\n  clients " not in shown.stdout


def test_the_server_runs_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    """A new installation from nothing: migrated, given the shipped catalogue and a client."""
    path = [unpacked, Path(_SITE_PACKAGES)]
    environ = {"HOURPASS_DATA_DIR": str(tmp_path / "data")}
    catalogue = unpacked / "hourpass" / "demo" / "hourpass.toml"

    def hourpass(*arguments: str) -> Finished:
        return _python(path, "-m", "hourpass", *arguments, folder=tmp_path, environ=environ)

    where = _python(path, "-c", "import hourpass; print(hourpass.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(unpacked)
    assert hourpass("migrate").status == 0
    applied = hourpass("scopes", "apply", str(catalogue), "--json")
    assert applied.json()["added"][0] == "api bookings"
    made = hourpass("clients", "create", "--name", "CRM", "--scope", "profile:write", "--json")
    assert made.json()["scopes"] == ["profile:write"]
