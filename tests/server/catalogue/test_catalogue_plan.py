"""What applying a file does to the catalogue, as pure values."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.grants import Grant
from hourpass.server.catalogue.apply import Changes, plan
from hourpass.server.catalogue.model import INTROSPECT_PREFIX, Api, Catalogue, Scope

Apis = tuple[Api, ...]
SCOPE_NAMES = ["a:read", "a:write", "b:read", "c:read"]
KEYS = ["a", "b", "c"]


def scope(name: str, description: str = "One", **more: Any) -> Scope:
    """A scope of this name."""
    return Scope(name=name, description=description, grants=(Grant("GET", "/"),), **more)


def api(key: str, *scopes: Scope, identifier: str = "", **more: Any) -> Api:
    """An API of this key; its identifier follows from it unless given."""
    identifier = identifier or f"https://{key}.example"
    return Api(key=key, identifier=identifier, name=key, base_url=identifier, scopes=scopes, **more)


@st.composite
def files(draw: st.DrawFn) -> Apis:
    """What a file may list: each scope in at most one API, keys and identifiers each once."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
    identifiers = draw(st.permutations([f"https://{key}.example" for key in KEYS]))
    listed: dict[str, list[Scope]] = {key: [] for key in keys}
    for name in draw(st.permutations(SCOPE_NAMES)):
        owner = draw(st.sampled_from([*keys, None]))
        if owner is not None:
            listed[owner].append(scope(name, draw(st.sampled_from(["One", "Two"]))))
    return tuple(
        api(key, *listed[key], identifier=identifier)
        for key, identifier in zip(keys, identifiers, strict=False)
        if listed[key]
    )


FILES = files().filter(bool)
Story = list[tuple[Apis, frozenset[str]]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Files applied one after the other; before each, clients hold what they could be granted."""
    catalogue: Apis = ()
    held: frozenset[str] = frozenset()
    story: Story = []
    for wanted in draw(st.lists(FILES, min_size=1, max_size=4)):
        grantable = Catalogue(version=1, management_identifier="", apis=catalogue).grantable
        names = sorted(held | {n for n in grantable if not n.startswith("hourpass.")})
        names += sorted(n for n in grantable if n.startswith(INTROSPECT_PREFIX))
        held = frozenset(draw(st.sets(st.sampled_from(names)))) if names else frozenset()
        story.append((wanted, held))
        catalogue, _ = plan(catalogue, wanted, held)
    return story


def names_of(apis: Apis, *, retired: bool | None = None) -> set[str]:
    """The scopes in a catalogue, all of them or by whether they are retired."""
    return {s.name for each in apis for s in each.scopes if retired in (None, s.retired)}


@given(story=stories())
def test_applying_a_file_twice_changes_nothing(story: Story) -> None:
    """The second time is the same catalogue, and no changes to tell."""
    current: Apis = ()
    for wanted, held in story:
        current, _ = plan(current, wanted, held)
        assert plan(current, wanted, held) == (current, Changes())


@pytest.mark.spec("contract", "Catalogue", "its holders keep it, until it is taken from them")
@given(story=stories())
def test_nobody_loses_a_scope_and_nothing_else_stays(story: Story) -> None:
    """After it, the catalogue is what the file lists, and retired what clients still hold."""
    current: Apis = ()
    for wanted, held in story:
        after, _ = plan(current, wanted, held)
        listed = names_of(wanted)
        assert names_of(after, retired=False) == listed
        assert names_of(after, retired=True) == (held & names_of(current)) - listed
        assert {each.key for each in after if not each.retired} == {each.key for each in wanted}
        for each in wanted:
            (now,) = [other for other in after if other.key == each.key]
            assert replace(now, scopes=()) == replace(each, scopes=())
            assert tuple(s for s in now.scopes if not s.retired) == each.scopes
        current = after


@pytest.mark.spec("contract", "One token, one purpose", "A scope name belongs to one API")
@given(story=stories())
def test_every_name_stays_unique(story: Story) -> None:
    """Scopes, keys and identifiers, however they move between APIs."""
    current: Apis = ()
    for wanted, held in story:
        current, _ = plan(current, wanted, held)
        every = [s.name for each in current for s in each.scopes]
        assert len(set(every)) == len(every)
        for attribute in ("key", "identifier"):
            values = [getattr(each, attribute) for each in current]
            assert len(set(values)) == len(values)


@given(story=stories())
def test_the_changes_tell_the_difference_and_only_that(story: Story) -> None:
    """Each name once, under what happened to it; what stayed the same is not named."""
    current: Apis = ()
    for wanted, held in story:
        after, changes = plan(current, wanted, held)
        told = [name for names in changes.as_json().values() for name in names]
        assert len(set(told)) == len(told)
        assert set(changes.added) == entries(after).keys() - entries(current).keys()
        assert set(changes.removed) == entries(current).keys() - entries(after).keys()
        for name in entries(current).keys() & entries(after).keys():
            old, new = entries(current)[name], entries(after)[name]
            assert (name in told) == (old != new)
            if old[0] != new[0]:
                assert name in (changes.retired if new[0] else changes.revived)
            elif old != new:
                assert name in changes.changed
        assert bool(changes) == (entries(after) != entries(current))
        current = after


def entries(apis: Apis) -> dict[str, tuple[bool, object]]:
    """Every API and scope by name: whether it is retired, and all there is to it."""
    found: dict[str, tuple[bool, object]] = {}
    for each in apis:
        found[f"api {each.key}"] = (each.retired, replace(each, scopes=()))
        found.update({s.name: (s.retired, (each.key, s)) for s in each.scopes})
    return found


@given(story=stories(), again=FILES)
@pytest.mark.spec("contract", "Catalogue", "applying it again revives it")
def test_a_retired_scope_is_revived_by_listing_it(story: Story, again: Apis) -> None:
    """Whatever happened before: what the last file lists can be granted."""
    current: Apis = ()
    held: frozenset[str] = frozenset()
    for wanted, held in story:
        current, _ = plan(current, wanted, held)
    before = names_of(current, retired=True)

    after, changes = plan(current, again, held)

    grantable = Catalogue(version=1, management_identifier="", apis=after).grantable
    assert names_of(again) <= grantable
    assert set(changes.revived) & set(SCOPE_NAMES) == before & names_of(again)


def test_an_api_that_vanishes_is_retired_with_what_is_held_of_it() -> None:
    """And removed once nobody holds anything of it."""
    both = (api("a", scope("a:read"), scope("a:write")), api("b", scope("b:read")))
    only_b = both[1:]

    after, changes = plan(both, only_b, frozenset({"a:read"}))

    kept = api("a", scope("a:read", retired=True), retired=True)
    assert after == (both[1], kept)
    assert changes == Changes(retired=("api a", "a:read"), removed=("a:write",))
    assert plan(after, only_b, frozenset()) == (
        only_b,
        Changes(removed=("api a", "a:read")),
    )


def test_an_api_stays_while_somebody_may_introspect_its_tokens() -> None:
    """Retired, without scopes."""
    both = (api("a", scope("a:read")), api("b", scope("b:read")))

    after, changes = plan(both, both[1:], frozenset({INTROSPECT_PREFIX + "a"}))

    assert after == (both[1], api("a", retired=True))
    assert changes == Changes(retired=("api a",), removed=("a:read",))


def test_an_api_with_another_key_keeps_what_is_held() -> None:
    """The identifier is what tokens name: the API that has it now has the leftovers, too."""
    old = (api("a", scope("a:read"), scope("a:write"), identifier="https://one.example"),)
    new = (api("b", scope("a:write"), identifier="https://one.example"),)

    after, changes = plan(old, new, frozenset({"a:read", "a:write"}))

    assert after == (replace(new[0], scopes=(scope("a:write"), scope("a:read", retired=True))),)
    assert changes == Changes(
        added=("api b",), changed=("a:write",), retired=("a:read",), removed=("api a",)
    )


def test_identifiers_that_change_places_are_two_changed_apis() -> None:
    """Their scopes stay where their keys are."""
    old = (api("a", scope("a:read")), api("b", scope("b:read")))
    new = (
        replace(old[0], identifier=old[1].identifier),
        replace(old[1], identifier=old[0].identifier),
    )

    after, changes = plan(old, new, frozenset({"a:read", "b:read"}))

    assert after == new
    assert changes == Changes(changed=("api a", "api b"))


def test_another_limit_is_a_change() -> None:
    """Of the API or of the scope, whichever has it; a retired scope keeps its own."""
    old = (api("a", scope("a:read", limit_per_minute=5), scope("a:write")),)
    new = (api("a", scope("a:read", limit_per_minute=6), scope("a:write"), limit_per_minute=600),)

    after, changes = plan(old, new, frozenset())

    assert after == new
    assert changes == Changes(changed=("api a", "a:read"))
    after, changes = plan(new, (api("a", scope("a:write")),), frozenset({"a:read"}))
    assert after[0].scopes[-1].limit_per_minute == 6
    assert changes == Changes(changed=("api a",), retired=("a:read",))


def test_keeping_an_api_to_others_is_a_change_of_the_api() -> None:
    """Nothing is retired or revived by it; an API that vanishes stays kept."""
    free = (api("a", scope("a:read")), api("b", scope("b:read")))
    kept = (replace(free[0], organizations=frozenset({"acme"})), free[1])
    held = frozenset({"a:read"})

    assert plan(free, kept, held) == (kept, Changes(changed=("api a",)))
    assert plan(kept, free, held) == (free, Changes(changed=("api a",)))
    after, _ = plan(kept, free[1:], held)
    assert after[-1].retired
    assert after[-1].organizations == frozenset({"acme"})


def test_a_scope_that_moves_to_another_api_is_a_changed_scope() -> None:
    """Its holders hold it there from now on; nothing of it is retired."""
    old = (api("a", scope("a:read"), scope("a:write")), api("b", scope("b:read")))
    new = (api("a", scope("a:read")), api("b", scope("b:read"), scope("a:write")))

    after, changes = plan(old, new, frozenset({"a:write"}))

    assert after == new
    assert changes == Changes(changed=("a:write",))


def test_no_changes_are_falsy() -> None:
    """Whoever applies can ask `if changes`."""
    assert not Changes()
    for name in ("added", "changed", "retired", "removed", "revived"):
        assert Changes(**{name: ("x",)})
