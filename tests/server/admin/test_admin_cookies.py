"""Which cookies count, and what reading them costs."""

import time

import httpx
import pytest

from support.desk import hire, session_of
from support.installation import Server


def look(server: Server, *cookies: bytes) -> int:
    """The status of a page that needs a session; each of `cookies` is a header of its own."""
    headers = [(b"Cookie", cookie) for cookie in cookies]
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        return http.get("/admin/account", headers=headers).status_code


def test_the_session_is_found_among_others(shared_server: Server) -> None:
    """Wherever it stands, in one header or several."""
    own = b"hourpass=" + session_of(shared_server, hire(shared_server.installation)).encode()

    for cookies in (
        [own],
        [b"a=b; " + own],
        [b'$Version=1;;=;x; a="' + b"\\" * 9 + b";" + own + b" ;hourpass-organization=;b"],
        [b"a=\xff\xfe", own],
    ):
        assert look(shared_server, *cookies) == 200, cookies


@pytest.mark.spec("threats", "16", "session fixation, `__Host-` cookies")
def test_what_might_be_planted_is_no_session(shared_server: Server) -> None:
    """A second one of the same name, which another path or port can set, whichever comes first;
    a name that only begins like ours for who takes more for a blank than browsers do."""
    session = session_of(shared_server, hire(shared_server.installation)).encode()

    for cookies in (
        [b"hourpass=planted; hourpass=" + session],
        [b"hourpass=" + session + b"; hourpass=planted"],
        [b"hourpass=" + session, b"hourpass=" + session],
        [b"\xa0hourpass=" + session],
        [b"\x85hourpass=" + session],
        [b"Hourpass=" + session],
        [b'hourpass="' + session + b'"'],
        [b'a="; hourpass=' + session + b'"'],
        [b"hourpass"],
    ):
        assert look(shared_server, *cookies) == 303, cookies


@pytest.mark.spec("threats", "2", "Every input is bounded before it costs anything.")
def test_no_cookie_costs_more_than_another_of_its_size(shared_server: Server) -> None:
    """It is read on the event loop, where everybody waits for it."""
    took: dict[bytes, list[float]] = {
        b'a="' + b"\\" * 7000 + b'"': [],
        b'a="' + b"\\0" * 3500 + b'"': [],
        b"a=;" * 2334: [],
        b"a=b" + b"x" * 7000: [],
    }
    with httpx.Client(base_url=shared_server.url, trust_env=False) as http:
        for _ in range(5):
            for cookie, times in took.items():
                began = time.perf_counter()
                answer = http.get("/admin/account", headers=[(b"Cookie", cookie)])
                times.append(time.perf_counter() - began)
                assert answer.status_code == 303
    *worst, harmless = (min(times) for times in took.values())

    assert max(worst) < 5 * harmless
