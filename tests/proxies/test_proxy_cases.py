"""The one table of cases for all doors, run through every shipped proxy."""

from urllib.parse import unquote

import pytest

from support.door_cases import GRANTS, ONLINE, Case, cases_for, check, send
from support.proxies.doors import Door, Issuer

# Where a proxy reads a request in a way of its own before anything of ours does: what it answers.
_OWN_WAY = {
    # An empty line beside another of the same name is dropped, so there is one.
    ("envoy", "two headers, one empty"): 200,
    ("envoy", "two headers, the first empty"): 200,
    # Nothing is served under that name; the answer is empty.
    ("caddy", "ambiguous: absolute form"): 200,
}


def _params(*marks: str) -> list[object]:
    return [pytest.param(case, id=case.name) for case in cases_for(*marks)]


def _answered_alike(door: Door, issuer: Issuer, case: Case) -> None:
    before = len(door.api.requests)

    answer = send(door.proxy.port, case, issuer.tokens)

    reached = door.api.requests[before:]
    own = _OWN_WAY.get((door.name, case.name))
    if own is not None:
        assert answer.status == own
        assert [request.target for request in reached] == (
            [] if not answer.body else ["/customers"]
        )
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
