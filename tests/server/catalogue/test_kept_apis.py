"""APIs that the catalogue keeps to some organizations: who may grant what of them, as values."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.catalogue.model import INTROSPECT_PREFIX, Api, Catalogue, Scope

PLACES = ("acme", "studio-north", "default")


def api(key: str, organizations: frozenset[str] | None, *, retired: bool = False) -> Api:
    """An API with a scope, and another that is retired."""
    return Api(
        key=key,
        identifier=f"https://{key}.example",
        name=key,
        base_url=f"https://{key}.example",
        scopes=(
            Scope(name=f"{key}:read", description="Read", retired=retired),
            Scope(name=f"{key}:old", description="Old", retired=True),
        ),
        organizations=organizations,
        retired=retired,
    )


KEPT_TO = st.none() | st.frozensets(st.sampled_from(PLACES), min_size=1)
CATALOGUES = st.lists(st.tuples(KEPT_TO, st.booleans()), max_size=3).map(
    lambda kept: Catalogue(
        version=1,
        management_identifier="https://auth.example/api/v1",
        apis=tuple(
            api(key, organizations, retired=retired)
            for key, (organizations, retired) in zip("abc", kept, strict=False)
        ),
    )
)
NAMES = [f"{key}:{what}" for key in "abcx" for what in ("read", "old")] + [
    *(f"{INTROSPECT_PREFIX}{key}" for key in "abcx"),
    "hourpass.clients:read",
]
SCOPES = st.frozensets(st.sampled_from(NAMES))


@given(catalogue=CATALOGUES, wanted=SCOPES, held=SCOPES, place=st.sampled_from(PLACES))
@pytest.mark.spec("threats", "15", "no crossing of organizations (404, by API, page and CLI alike)")
def test_what_is_kept_to_others_is_as_if_it_were_not_there(
    catalogue: Catalogue, wanted: frozenset[str], held: frozenset[str], place: str
) -> None:
    """To whoever sees one organization: the words are those of a catalogue without it."""
    told = repr(catalogue.problem_with(wanted, held, place, sees_others=False))
    without = replace(
        catalogue,
        apis=tuple(
            replace(each, organizations=None)
            for each in catalogue.apis
            if each.organizations is None or place in each.organizations
        ),
    )

    assert told == repr(without.problem_with(wanted, held, place, sees_others=False))


@given(catalogue=CATALOGUES, wanted=SCOPES, held=SCOPES, place=st.sampled_from(PLACES))
def test_what_can_be_granted_does_not_depend_on_who_looks(
    catalogue: Catalogue, wanted: frozenset[str], held: frozenset[str], place: str
) -> None:
    """Only the words do. A holder keeps anything; all else has to be open there."""
    can = [
        catalogue.problem_with(wanted, held, place, sees_others=sees) is None
        for sees in (True, False)
    ]
    open_there = {
        name
        for each in catalogue.apis
        if each.may_be_granted_in(place) and not each.retired
        for name in (f"{each.key}:read", INTROSPECT_PREFIX + each.key)
    } | {"hourpass.clients:read"}

    assert can == [bool(wanted) and wanted - held <= open_there] * 2


@given(catalogue=CATALOGUES, place=st.sampled_from(PLACES))
def test_one_organization_sees_no_name_of_another(catalogue: Catalogue, place: str) -> None:
    """Of an API that it shares with others it sees only that it is kept; APIs keep their order."""
    seen = catalogue.within(place)

    assert {name for each in seen.apis for name in each.organizations or ()} <= {place}
    assert [each.key for each in seen.apis] == [
        each.key for each in catalogue.apis if each.may_be_granted_in(place)
    ]
    assert catalogue.within(None) is catalogue
    assert seen.within(place) == seen
