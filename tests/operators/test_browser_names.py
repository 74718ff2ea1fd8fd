"""The browser of a session, named so that its person knows it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import PASSWORD, Office

from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.browsers import name_of
from support.hashing import HASHING
from support.installation import TESTER, Installation

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
FIREFOX = "Gecko/20100101 Firefox/145.0"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
            "Firefox on Linux",
        ),
        (f"{WINDOWS} {WEBKIT} Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {WEBKIT} Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0", "Opera on Windows"),
        (f"{MAC} (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/142.0.0.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            f"{IPHONE} CriOS/142.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (f"{IPHONE} FxiOS/145.0 Mobile/15E148", "Firefox on iPhone"),
        (WINDOWS, "A browser on Windows"),
        ("Firefox/3", "Firefox"),
        ("curl/8.5.0", None),
        ("", None),
    ],
)
def test_browsers_are_known_by_name(user_agent: str, name: str | None) -> None:
    """As they call themselves at the end of 2025; each also goes by the names of others."""
    assert name_of(user_agent) == name


@given(st.text() | st.text(alphabet="EdgOPR/FirefoxChromeSafariWindowsLinux<>\"'"))
def test_no_word_is_the_callers(user_agent: str) -> None:
    """Whatever it says, the name is made of a few words, and fits its column."""
    name = name_of(user_agent)
    assert name is None or re.fullmatch(r"[A-Za-z ]{1,40}", name)


def test_a_session_keeps_the_browser_it_began_in(installation: Installation) -> None:
    """And one of an older Hourpass, or of no browser, has none."""
    office = Office(installation)
    operator = office.hire("ana@example.com")
    for browser in ("Firefox on Linux", None):
        by = replace(TESTER, browser=browser)
        sign_in.sign_in(office.database, HASHING, office.master, "ana@example.com", PASSWORD, by)

    found = operations.live_sessions(office.database, operator.operator_id)
    assert {session.browser for session in found} == {"Firefox on Linux", None}
