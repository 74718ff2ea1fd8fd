"""Which addresses credentials and tokens may be sent to."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """`scheme://host:port` in one spelling; ValueError for what is no http or https URL."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def is_confidential(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this very machine."""
    parts = _split(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _split(url: str) -> SplitResult:
    if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise ValueError("not an http or https URL")
    parts = urlsplit(url)
    parts.port  # noqa: B018  (raises for a port that is none)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http or https URL")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
