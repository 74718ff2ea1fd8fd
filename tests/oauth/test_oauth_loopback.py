"""Which hosts plain http is good enough for."""

import pytest

from hourpass.oauth.loopback import is_loopback


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *[(host, True) for host in ("localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1")],
        *[(host, True) for host in ("[::1]",)],
        *[(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "a.example", "localhost.a", "")],
    ],
)
def test_loopback_hosts(host: str, own: bool) -> None:
    """Names and addresses of this machine alone."""
    assert is_loopback(host) is own
