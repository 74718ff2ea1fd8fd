"""The request target that an app serves, from what its server tells: grants judge it.

Servers give an app the path decoded, in which `%2f` and `/` look alike; some give the target
as it was received, too. That one is taken where decoding it gives the path that the app sees.
Where there is none, the decoded path is encoded again: the app cannot see more either. Where
the two differ somebody on the way has changed one of them, and nobody knows what was meant:
the answer is then `UNKNOWN`, which is no request target, so that no grant opens it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

UNKNOWN = ""


def of_asgi(scope: Mapping[str, Any]) -> str:
    """The path, with its escapes, of an ASGI HTTP connection."""
    return _target(scope["path"], scope.get("root_path", ""), scope.get("raw_path"))


def of_wsgi(environ: Mapping[str, Any]) -> str:
    """The path, with its escapes, of a WSGI request, whose texts are octets (PEP 3333)."""
    script = _octets(environ.get("SCRIPT_NAME", "")).decode("utf-8", "replace")
    path = _octets(environ.get("PATH_INFO", "")).decode("utf-8", "replace")
    return _target(script + path, script, raw_uri(environ))


def of_django(meta: Mapping[str, Any]) -> str:
    """The same for Django under WSGI, which has decoded these texts in place."""
    script = meta.get("SCRIPT_NAME", "")
    return _target(script + meta.get("PATH_INFO", ""), script, raw_uri(meta))


def raw_uri(environ: Mapping[str, Any]) -> bytes | None:
    """The target as it was received, if the server tells; PEP 3333 has no word for it.

    gunicorn and Werkzeug say `RAW_URI`; mod_wsgi, uWSGI and others `REQUEST_URI`.
    """
    uri = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    return None if uri is None else _octets(uri)


def _target(path: str, root: str, raw: bytes | None) -> str:
    """`root` is the part of `path` at which the app is mounted; proxies may have taken it off."""
    if raw is None:
        # What is not UTF-8 was replaced, so that two paths have become one.
        return UNKNOWN if "\ufffd" in path else _encoded(path)
    received = raw.partition(b"?")[0]
    decoded = unquote_to_bytes(received).decode("utf-8", "replace")
    target = received.decode("latin-1")
    if decoded == path:
        return target
    return _encoded(root) + target if root and root + decoded == path else UNKNOWN


def _encoded(path: str) -> str:
    """What decodes to `path`; all but letters, digits, `-._~` and `/` is escaped."""
    return quote(path, safe="/", errors="surrogatepass")


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")
