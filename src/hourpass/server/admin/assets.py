"""Style, scripts and icons of the pages: read once, named by their content, kept for ever."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

from hourpass.server.endpoints.http import Scope

_FOLDER = Path(__file__).with_name("static")
_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Content, media type and digest by name."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        content = path.read_bytes()
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[path.name] = (content, media_type, hashlib.sha256(content).hexdigest()[:16])
    return found


def url(root: str, name: str) -> str:
    """Where a file is; another content is another address."""
    return f"{root}/admin/static/{name}?{_files()[name][2]}"


def answer(name: str, scope: Scope) -> Response:
    """The file, or 404; the name is looked up, never made into a path."""
    if scope["method"] not in ("GET", "HEAD") or name not in _files():
        return PlainTextResponse("there is nothing at this address", status_code=404)
    content, media_type, digest = _files()[name]
    current = scope["query_string"].decode("latin-1") == digest
    headers = {"Cache-Control": _FOR_EVER if current else "no-cache"}
    return Response(content, media_type=media_type, headers=headers)
