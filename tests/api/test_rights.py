"""What a caller may see and do, as a value: no set of scopes gives more than it holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.audit.events import SYSTEM, Origin
from hourpass.server.catalogue.model import MANAGEMENT_SCOPES
from hourpass.server.refused import Forbidden
from hourpass.server.rights import FULL, NONE, Rights, management

NAMES = sorted(MANAGEMENT_SCOPES)
ORGANIZATIONS = ("hourpass.organizations:read", "hourpass.organizations:write")
OTHERS = ("bookings:read", "hourpass.introspect:bookings", "hourpassing:read")
some_scopes = st.frozensets(st.sampled_from(NAMES))
some_names = st.frozensets(st.sampled_from([*NAMES, *OTHERS]))


@given(some_scopes, some_names, st.sampled_from([None, "acme"]))
def test_nobody_gives_what_they_lack(
    held: frozenset[str], wanted: frozenset[str], organization: str | None
) -> None:
    """What may be given is held; scopes of APIs and of introspection are everybody's to give."""
    rights = Rights(scopes=held, organization=organization)

    refused = rights.ungrantable(wanted)

    assert management(wanted - refused) <= held
    assert refused <= management(wanted)
    assert rights.lacking(wanted) == management(wanted) - held
    assert not refused & set(OTHERS)


@pytest.mark.spec("contract", "Who may do what", "what the actor holds is read from its row now")
@given(some_scopes, some_scopes)
def test_a_narrow_token_narrows_what_may_be_called_not_what_is_held(
    held: frozenset[str], wanted: frozenset[str]
) -> None:
    """The rule on management scopes looks at the row; the doors look at the token too."""
    rights = Rights(scopes=frozenset(), organization="acme", held=held)

    assert rights.lacking(wanted) == wanted - held
    assert not any(rights.may(name) for name in wanted)


@given(some_scopes, st.sampled_from(["acme", "other"]))
def test_another_organization_is_seen_only_with_a_scope_for_all(
    held: frozenset[str], organization: str
) -> None:
    """To see takes `organizations:read` or `:write`, to change takes `:write`."""
    rights = Rights(scopes=held, organization="acme")
    own = organization == "acme"

    assert rights.sees(organization) == (own or not held.isdisjoint(ORGANIZATIONS))
    assert rights.changes(organization) == (own or "hourpass.organizations:write" in held)
    assert rights.sees(None) == (not held.isdisjoint(ORGANIZATIONS))


def test_seeing_every_organization_is_given_by_persons_of_the_installation_only() -> None:
    """Whoever belongs to one organization cannot give it on, though they hold it."""
    everything = frozenset(NAMES)

    within = Rights(scopes=everything, organization="acme").ungrantable(everything)

    assert within == frozenset(ORGANIZATIONS)
    assert not Rights(scopes=everything, organization=None).ungrantable(everything)
    assert not FULL.ungrantable(everything)


def test_an_origin_that_says_nothing_may_do_nothing() -> None:
    """Whoever forgets the caller's rights is refused, and refuses nobody else's."""
    forgotten = Origin(actor=SYSTEM).rights

    assert forgotten == NONE
    assert forgotten.lacking(NAMES) == frozenset(NAMES)
    assert not forgotten.sees("default")
    assert not forgotten.changes("default")
    for scope in NAMES:
        with pytest.raises(Forbidden, match=scope):
            forgotten.need(scope)
        FULL.need(scope)
