"""The one table of cases for all doors, run through every shipped proxy."""

from urllib.parse import unquote

import pytest

from support.door_cases import GRANTS, ONLINE, Case, cases_for, check, send
from support.proxies.doors import Door, Issuer

# Where a proxy reads a request in a way of its own: its answer, and what of it reaches the API.
_OWN_WAY: dict[tuple[str, str], tuple[int, list[str]]] = {
    # An empty line beside another of the same name is dropped, so there is one.
    ("envoy", "two headers, one empty"): (200, ["/customers"]),
    ("envoy", "two headers, the first empty"): (200, ["/customers"]),
    # Nothing is served under that name; the answer is empty.
    ("caddy", "ambiguous: absolute form"): (200, []),
    ("apache", "ambiguous: encoded NUL"): (404, []),
    # mod_oauth2 hands on claims as text, and takes the last of two.
    ("apache", "exp twice"): (200, ["/customers"]),
    ("apache", "jti number"): (200, ["/customers"]),
    ("apache", "org_id number"): (200, ["/customers"]),
}


def _params(*marks: str) -> list[object]:
    return [pytest.param(case, id=case.name) for case in cases_for(*marks)]


def _answered_alike(door: Door, issuer: Issuer, case: Case) -> None:
    before = len(door.api.requests)

    answer = send(door.proxy.port, case, issuer.tokens)

    reached = door.api.requests[before:]
    own = _OWN_WAY.get((door.name, case.name))
    if own is not None:
        assert (answer.status, [request.target for request in reached]) == own
        return
    assert len(reached) == (1 if answer.status == 200 else 0)
    served = unquote(reached[0].target.partition("?")[0]) if reached else None
    check(case, answer, served=served)


@pytest.mark.parametrize("case", _params(GRANTS, ONLINE))
def test_a_proxy_that_asks_answers_as_every_door(
    asking_door: Door, issuer: Issuer, case: Case
) -> None:
    """The same status, challenge and body; nothing that is refused reaches the API."""
    _answered_alike(asking_door, issuer, case)


@pytest.mark.parametrize("case", _params(GRANTS))
def test_a_proxy_that_checks_offline_answers_as_every_door(
    offline_door: Door, issuer: Issuer, case: Case
) -> None:
    """The same, but for what only the server can know."""
    _answered_alike(offline_door, issuer, case)
