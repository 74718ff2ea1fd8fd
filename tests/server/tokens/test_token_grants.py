"""What a token is for: the rules on scopes, resources and audiences, as a table."""

import json

import pytest
from decisions import BILLING, BOOKINGS, FACTS, MANAGEMENT
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.errors import InvalidScope, InvalidTarget, OAuthError
from hourpass.server.catalogue.apply import plan
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES, Catalogue
from hourpass.server.tokens.exchange import Granted, grant

B, C, I = "bookings:read", "customers:read", "invoices:read"  # noqa: E741  (three scopes)
M, N = "hourpass.clients:read", "hourpass.keys:write"
INTROSPECT = "hourpass.introspect:bookings"

# held · scope asked for · resource asked for → scopes and audience, or the refusal
TABLE: list[tuple[str, str | None, str | None, tuple[str, object] | type[OAuthError]]] = [
    # asking for nothing: all but management, for one API or several
    (C, None, None, (C, BOOKINGS)),
    (f"{C} {B}", None, None, (f"{B} {C}", BOOKINGS)),
    (f"{C} {I}", None, None, (f"{C} {I}", [BOOKINGS, BILLING])),
    (f"{C} {M}", None, None, (C, BOOKINGS)),
    (f"{C} {I} {M}", None, None, (f"{C} {I}", [BOOKINGS, BILLING])),
    (f"{C} {INTROSPECT}", None, None, (C, BOOKINGS)),
    # who holds nothing but management needs no asking
    (M, None, None, (M, MANAGEMENT)),
    (f"{M} {N}", None, None, (f"{M} {N}", MANAGEMENT)),
    (f"{M} {INTROSPECT}", None, None, (M, MANAGEMENT)),
    # by resource
    (f"{C} {I}", None, BILLING, (I, BILLING)),
    (f"{C} {I}", None, BOOKINGS, (C, BOOKINGS)),
    (f"{C} {M}", None, MANAGEMENT, (M, MANAGEMENT)),
    (C, None, BILLING, InvalidTarget),
    (C, None, MANAGEMENT, InvalidTarget),
    (M, None, BOOKINGS, InvalidTarget),
    # an unknown resource, or not exactly the identifier
    (C, None, "https://nowhere.example", InvalidTarget),
    (C, None, BOOKINGS + "/", InvalidTarget),
    (C, None, BOOKINGS.upper(), InvalidTarget),
    (C, None, "bookings", InvalidTarget),
    (C, C, "https://nowhere.example", InvalidTarget),
    # by scope
    (f"{C} {B}", C, None, (C, BOOKINGS)),
    (f"{C} {B}", f"{C} {B}", None, (f"{B} {C}", BOOKINGS)),
    (f"{C} {B}", f"{C} {C} {B} {C}", None, (f"{B} {C}", BOOKINGS)),
    (f"{C} {I}", f"{I} {C}", None, (f"{C} {I}", [BOOKINGS, BILLING])),
    (f"{C} {M}", M, None, (M, MANAGEMENT)),
    # management never mixes
    (f"{C} {M}", f"{C} {M}", None, InvalidTarget),
    (f"{C} {M} {I}", f"{I} {M}", None, InvalidTarget),
    # scope and resource have to agree
    (f"{C} {I}", C, BOOKINGS, (C, BOOKINGS)),
    (f"{C} {I}", C, BILLING, InvalidTarget),
    (f"{C} {I}", f"{C} {I}", BOOKINGS, InvalidTarget),
    (f"{C} {M}", M, MANAGEMENT, (M, MANAGEMENT)),
    (f"{C} {M}", C, MANAGEMENT, InvalidTarget),
    # what the client does not hold, or not by exactly this name
    (C, B, None, InvalidScope),
    (C, f"{C} {B}", None, InvalidScope),
    (C, "nothing:here", None, InvalidScope),
    (C, M, None, InvalidScope),
    (C, "Customers:read", None, InvalidScope),
    (C, "customers:*", None, InvalidScope),
    (C, "customers", None, InvalidScope),
    (C, "customers:rea", None, InvalidScope),
    (C, "customers:read\u0301", None, InvalidScope),
    (C, B, BOOKINGS, InvalidScope),
    # no scope by the grammar of RFC 6749 3.3
    (C, " ", None, InvalidScope),
    (C, f"{C} ", None, InvalidScope),
    (C, f" {C}", None, InvalidScope),
    (C, f"{C}  {C}", None, InvalidScope),
    (C, f"{C}\t{C}", None, InvalidScope),
    (C, f"{C}\n", None, InvalidScope),
    (C, f'"{C}"', None, InvalidScope),
    (C, "a" * 4097, None, InvalidScope),
    # introspection is a right at /introspect, and no part of any token
    (INTROSPECT, None, None, InvalidScope),
    (INTROSPECT, INTROSPECT, None, InvalidScope),
    (f"{C} {INTROSPECT}", INTROSPECT, None, InvalidScope),
    (f"{C} {INTROSPECT}", None, BOOKINGS, (C, BOOKINGS)),
    # a scope that is in no catalogue any more carries nothing
    ("gone:read", None, None, InvalidScope),
    (f"{C} gone:read", None, None, (C, BOOKINGS)),
    (f"{C} gone:read", "gone:read", None, InvalidScope),
]


def granted(held: str, scope: str | None, resource: str | None) -> Granted:
    """What `grant` makes of it."""
    return grant(frozenset(held.split()), scope, resource, FACTS.catalogue)


@pytest.mark.spec("contract", "One token, one purpose", "Asking for no scope and no resource gives")
@pytest.mark.spec("RFC 8707", "2", "invalid_target")
@pytest.mark.spec("threats", "3", "Octet-equal, case-sensitive, no wildcard, no prefix")
@pytest.mark.parametrize(("held", "scope", "resource", "outcome"), TABLE)
def test_the_table(
    held: str,
    scope: str | None,
    resource: str | None,
    outcome: tuple[str, object] | type[OAuthError],
) -> None:
    """Line by line, and twice, since answers are remembered."""
    for _ in range(2):
        if isinstance(outcome, tuple):
            given_scope, audience = outcome
            found = granted(held, scope, resource)
            assert found.scope == given_scope
            assert json.loads(found.audience) == audience
        else:
            with pytest.raises(OAuthError) as refused:
                granted(held, scope, resource)
            assert type(refused.value) is outcome


KNOWN = [B, C, I, "profile:write", M, N, INTROSPECT, "gone:read"]
HELD = st.sets(st.sampled_from(KNOWN), min_size=1)
ASKED = st.none() | st.lists(st.sampled_from(KNOWN), min_size=1, max_size=4).map(" ".join)
RESOURCES = st.sampled_from([None, BOOKINGS, BILLING, MANAGEMENT, "https://nowhere.example"])


@given(held=HELD, scope=ASKED, resource=RESOURCES)
@pytest.mark.spec("RFC 6749", "3.3", "the authorization server MAY fully or partially ignore")
def test_no_token_has_more_than_was_held_and_asked_for(
    held: set[str], scope: str | None, resource: str | None
) -> None:
    """Whatever is asked: held, asked for, of the audience, and never management with another."""
    try:
        found = grant(frozenset(held), scope, resource, FACTS.catalogue)
    except OAuthError as refusal:
        assert type(refusal) in (InvalidScope, InvalidTarget)
        return
    scopes, audience = found.scope.split(" "), json.loads(found.audience)
    audiences = audience if isinstance(audience, list) else [audience]

    assert scopes == sorted(set(scopes))
    assert set(scopes) <= held
    assert scope is None or set(scopes) == set(scope.split())
    assert resource is None or audiences == [resource]
    assert {FACTS.catalogue.audience_of[name] for name in scopes} == set(audiences)
    assert MANAGEMENT not in audiences or audiences == [MANAGEMENT]
    assert not [name for name in scopes if name.startswith("hourpass.introspect:")]
    assert isinstance(audience, str) or len(audience) > 1


def test_a_retired_scope_goes_on_for_its_holder() -> None:
    """Until it is taken away: with the audience of the API that it belonged to."""
    held = frozenset({C})
    billing_only = tuple(api for api in FACTS.catalogue.apis if api.key == "billing")
    apis, _ = plan(FACTS.catalogue.apis, billing_only, held)
    catalogue = Catalogue(version=2, management_identifier=MANAGEMENT, apis=apis)

    for scope, resource in ((None, None), (C, None), (None, BOOKINGS), (C, BOOKINGS)):
        found = grant(held, scope, resource, catalogue)
        assert (found.scope, json.loads(found.audience)) == (C, BOOKINGS)


def test_the_management_scopes_are_these() -> None:
    """Names that begin `hourpass.`, and none that is not one of these."""
    assert MANAGEMENT_SCOPES.keys() == {
        *("hourpass.clients:read", "hourpass.clients:write", "hourpass.audit:read"),
        *("hourpass.catalogue:read", "hourpass.keys:read", "hourpass.keys:write"),
        *("hourpass.operators:read", "hourpass.operators:write"),
        *("hourpass.organizations:read", "hourpass.organizations:write"),
    }
