"""What `hourpass serve` does with the catalogue's file: an embedded installation follows it."""

import json
from collections.abc import Iterator

import pytest

from support.installation import CATALOGUE, Installation, Server

_MORE = (
    CATALOGUE.replace('name = "Billing API"', 'name = "Billing API"\norganizations = ["acme"]')
    + '[[api.scope]]\nname = "invoices:write"\ndescription = "Write invoices"\n'
)


@pytest.fixture
def started(installation: Installation) -> Iterator[Server]:
    """A server that was started after its catalogue's file got one scope more."""
    assert "invoices:write" not in installation.context.catalogue().grantable
    installation.catalogue.write_text(_MORE)
    server = Server(installation)
    yield server
    server.stop()


@pytest.mark.spec("contract", "Catalogue", "On the embedded default `serve` applies it at start")
@pytest.mark.spec("contract", "Catalogue", "`serve` warns when its file differs")
def test_the_catalogue_at_start(started: Server, backend: str) -> None:
    """SQLite: applied, by the system; PostgreSQL: only a warning that names the command."""
    installation = started.installation
    messages = [json.loads(line)["event"] for line in started.log.read_text().splitlines()]
    by = [event["actor"]["type"] for event in installation.events(event="catalogue.applied")]
    path = installation.catalogue

    if backend == "sqlite":
        assert f"the catalogue follows {path} now" in messages
        assert "an API is kept to acme, and there is no such organization yet" in messages
        assert "invoices:write" in installation.context.catalogue().grantable
        assert by == ["cli", "system"]
    else:
        differs = f"the catalogue differs from {path}; run `hourpass scopes apply {path}`"
        assert differs in messages
        assert "invoices:write" not in installation.context.catalogue().grantable
        assert by == ["cli"]


@pytest.mark.spec("contract", "Catalogue", "A missing file changes nothing")
def test_no_catalogue_at_start(sqlite_installation: Installation) -> None:
    """No file, and a file with nothing but settings: the server starts, all stays as it was."""
    before = sqlite_installation.context.catalogue()
    for content in (None, '[hourpass]\nlog_level = "warning"\n'):
        environ = {}
        if content is None:
            sqlite_installation.catalogue.rename(sqlite_installation.folder / "elsewhere.toml")
            environ["HOURPASS_CONFIG"] = ""
        else:
            sqlite_installation.catalogue.write_text(content)
        server = Server(sqlite_installation, **environ)
        assert server.stop() == 0
        assert sqlite_installation.context.catalogue() == before
