"""The programs of docs/integrate.md, in every language whose runtime is here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_runner import ROOT, Reader, blocks_of

from support.installation import clean_environ
from support.requirements import missing
from support.token_server import CLIENT_ID, METADATA, SECRET, Asked, TokenServer

_PAGE = ROOT / "docs/integrate.md"
_API = "http://localhost:8081"
PROGRAMS: dict[str, tuple[str, ...]] = {
    "call.py": (sys.executable, "call.py"),
    "call_requests.py": (sys.executable, "call_requests.py"),
    "call_aiohttp.py": (sys.executable, "call_aiohttp.py"),
    "call.sh": ("bash", "call.sh"),
    "call.mjs": ("node", "call.mjs"),
    "call.go": ("go", "run", "call.go"),
    "Call.java": ("java", "Call.java"),
    "call.php": ("php", "-d", "apc.enable_cli=1", "call.php"),
    "call.rb": ("ruby", "call.rb"),
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody in an empty folder, with a shell."""
    somebody = Reader(tmp_path)
    yield somebody
    somebody.leave()


def test_the_page_can_be_followed(reader: Reader, tmp_path: Path) -> None:
    """With a server, an API and a client that an operator has made."""
    set_up = tmp_path / "set_up.md"
    readme = {block.mark: block.text for block in blocks_of(ROOT / "README.md")}
    set_up.write_text(
        f"<!-- file: hourpass.toml -->\n```toml\n{readme['file: hourpass.toml']}```\n"
        f"<!-- file: api.py -->\n```python\n{readme['file: api.py']}```\n"
        "<!-- run in background: 8080 -->\n```bash\nhourpass serve\n```\n"
        "<!-- run in background: 8081 -->\n```bash\nuvicorn api:app --port 8081\n```\n"
        "<!-- run -->\n```bash\n"
        "hourpass clients create --name CRM --scope customers:read --json > crm.json\n"
        'field() { sed -n "s/.*\\"$1\\": \\"\\(.*\\)\\".*/\\1/p" crm.json; }\n'
        "export HOURPASS_ISSUER=http://localhost:8080\n"
        "export HOURPASS_CLIENT_ID=$(field client_id)\n"
        "export HOURPASS_CLIENT_SECRET=$(field client_secret)\n"
        "```\n"
    )

    for page in (set_up, _PAGE):
        reader.follow(page)


def test_every_program_of_the_page_is_known() -> None:
    """What is marked as a file is run below."""
    files = {block.mark for block in blocks_of(_PAGE) if block.mark.startswith("file: ")}

    assert files == {f"file: {name}" for name in PROGRAMS}


def _php_modules() -> set[str]:
    listed = subprocess.run(("php", "-m"), capture_output=True, text=True, check=True)
    return set(listed.stdout.lower().split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gets_a_new_token_when_its_token_is_refused(name: str, tmp_path: Path) -> None:
    """Once: two tokens, two calls, and the answer to the second."""
    command = PROGRAMS[name]
    if shutil.which(command[0]) is None:
        missing(command[0])
    if command[0] == "php" and not {"curl", "apcu"} <= _php_modules():
        missing("php with curl and APCu")
    text = next(block.text for block in blocks_of(_PAGE) if block.mark == f"file: {name}")
    with TokenServer() as server:

        def api(asked: Asked) -> None:
            if server.token_requests == 1:
                server.good.clear()
            server.api(asked)

        server.scripts["/customers"] = api
        (tmp_path / name).write_text(text.replace(_API, server.url))
        environ = {
            **clean_environ(),
            "HOURPASS_ISSUER": server.url,
            "HOURPASS_CLIENT_ID": CLIENT_ID,
            "HOURPASS_CLIENT_SECRET": SECRET,
            "GOFLAGS": "-mod=mod",
            "GOTOOLCHAIN": "local",
            "HOME": os.environ.get("HOME", str(tmp_path)),
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
        )

        assert done.returncode == 0, done.stderr
        assert '"data": ["Ada"]' in done.stdout
        asked = [path for path in server.asked if path != METADATA]
        assert asked == ["/token", "/customers", "/token", "/customers"]
        assert server.authorization[-1] == "Bearer token-2"
        assert SECRET not in done.stdout + done.stderr
