"""Addresses, roles and powers: pure, by property where there is one."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.audit.events import SYSTEM
from hourpass.server.operators import model
from hourpass.server.operators.model import NotAllowed, Operator, Powers, Role
from hourpass.server.refused import BadInput, Conflict
from hourpass.server.rights import FULL, Rights

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORGANIZATIONS = st.sampled_from([None, "acme", "other"])
ROLES = st.dictionaries(ORGANIZATIONS, st.sampled_from(Role), max_size=3)


def person(roles: dict[str | None, Role], *, name: str = "a", active: bool = True) -> Operator:
    """Somebody with those roles."""
    return Operator(
        operator_id=f"opr_{name}",
        email=f"{name}@example.com",
        roles=roles,
        created_at=NOW,
        created_by=SYSTEM,
        activated_at=NOW if active else None,
    )


@pytest.mark.parametrize(
    "spelling", ["Zoë@Example.COM", "zoe\u0308@example.com", " ZOË@EXAMPLE.COM "]
)
def test_one_person_has_one_address_in_whatever_spelling(spelling: str) -> None:
    """NFC and casefold: case and composition make no second account."""
    assert model.normal_email(spelling) == "zoë@example.com"


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_the_normal_spelling_is_its_own(local: str, domain: str) -> None:
    """Whatever is accepted is NFC, casefolded, and normal already."""
    try:
        email = model.normal_email(f"{local}@{domain}")
    except BadInput:
        return
    assert model.normal_email(email) == email
    assert unicodedata.is_normalized("NFC", email)
    assert email.casefold() == email
    assert email.count("@") == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "a@", "@b", "a@b@c", "ab", "a b@c", "a\0@b", "a\n@b", "a@b\u202e", "\ud800@b"),
        "a\u00a0@b",
        "a" * 253 + "@b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Of bounded length, printable, with one @ and something on either side."""
    with pytest.raises(BadInput, match="email"):
        model.normal_email(text)


def test_an_address_may_have_254_characters() -> None:
    """And no more."""
    assert len(model.normal_email("a" * 252 + "@b")) == 254


@pytest.mark.spec("contract", "HTTP", "whose role is a set of these scopes")
def test_roles_are_the_scopes_that_they_are_said_to_be() -> None:
    """Auditor reads; admin writes clients; owner writes operators; in the installation more."""
    reads = {f"hourpass.{n}:read" for n in ("clients", "audit", "catalogue", "keys", "operators")}
    writes_clients = {"hourpass.clients:write"}
    writes_operators = writes_clients | {"hourpass.operators:write"}
    everywhere = {"hourpass.organizations:read"}

    assert Role.AUDITOR.scopes("acme") == reads
    assert Role.ADMIN.scopes("acme") == reads | writes_clients
    assert Role.OWNER.scopes("acme") == reads | writes_operators
    assert Role.AUDITOR.scopes(None) == reads | everywhere
    assert Role.ADMIN.scopes(None) == reads | everywhere | writes_clients
    assert Role.OWNER.scopes(None) == reads | everywhere | writes_operators | {
        "hourpass.keys:write",
        "hourpass.organizations:write",
    }


@given(ROLES, ORGANIZATIONS, st.sampled_from([None, *Role]), st.sampled_from([None, *Role]))
def test_nobody_gives_or_takes_a_role_that_holds_what_they_lack(
    roles: dict[str | None, Role], organization: str | None, before: Role | None, after: Role | None
) -> None:
    """Exactly those who hold all of it there, and may write operators, can."""
    powers = Powers.of(person(roles))
    wanted = {"hourpass.operators:write"}
    wanted |= before.scopes(organization) if before else set()
    wanted |= after.scopes(organization) if after else set()
    held = set(roles[None].scopes(None)) if None in roles else set()
    if organization is not None and organization in roles:
        held |= roles[organization].scopes(organization)

    if wanted <= held:
        model.require_may_set(powers, organization, before, after)
    else:
        with pytest.raises(NotAllowed) as refused:
            model.require_may_set(powers, organization, before, after)
        assert refused.value.missing == wanted - held


@given(ROLES, ORGANIZATIONS, st.sampled_from(Role))
def test_giving_a_role_makes_nobody_stronger_than_its_giver(
    roles: dict[str | None, Role], organization: str | None, role: Role
) -> None:
    """Whatever was given, in no organization does it come to more than the giver has."""
    giver = Powers.of(person(roles))
    try:
        model.require_may_set(giver, organization, None, role)
    except NotAllowed:
        return
    given_to = Powers.of(person({organization: role}))
    for where in (None, "acme", "other", "third"):
        assert given_to.within(where) <= giver.within(where)


def test_a_role_in_a_suspended_organization_gives_nothing() -> None:
    """But the others still do."""
    somebody = Operator(
        operator_id="opr_a",
        email="a@example.com",
        roles={"acme": Role.OWNER, "other": Role.AUDITOR},
        suspended=frozenset({"acme"}),
        created_at=NOW,
        created_by=SYSTEM,
    )

    assert Powers.of(somebody).within("acme") == frozenset()
    assert Powers.of(somebody).within("other") == Role.AUDITOR.scopes("other")
    assert not Powers.of(somebody).empty


def test_an_api_client_holds_nothing_for_the_installation_itself() -> None:
    """With every scope there is, it makes no owner of the installation; of organizations, yes."""
    client = Rights(scopes=Role.OWNER.scopes(None), organization="acme")
    powers = Powers.of_rights(client)

    model.require_may_set(powers, "other", None, Role.OWNER)
    with pytest.raises(NotAllowed):
        model.require_may_set(powers, None, None, Role.AUDITOR)
    assert Powers.of_rights(FULL).lacking(Role.OWNER.scopes(None), None) == frozenset()


def test_a_client_of_one_organization_holds_nothing_elsewhere() -> None:
    """Nor does one that may only read every organization write in them."""
    own = Powers.of_rights(Rights(scopes=Role.OWNER.scopes("acme"), organization="acme"))
    reader = Powers.of_rights(
        Rights(
            scopes=Role.OWNER.scopes("acme") | {"hourpass.organizations:read"}, organization="acme"
        )
    )

    assert own.within("other") == frozenset()
    assert "hourpass.operators:write" not in reader.within("other")
    assert "hourpass.operators:read" in reader.within("other")
    assert "hourpass.operators:write" in reader.within("acme")


def test_what_the_caller_holds_now_counts_not_what_its_token_says() -> None:
    """`held` is the row's."""
    caller = Rights(
        scopes=Role.OWNER.scopes("acme"),
        organization="acme",
        held=frozenset({"hourpass.keys:read"}),
    )

    assert Powers.of_rights(caller).within("acme") == {"hourpass.keys:read"}


OWNER: dict[str | None, Role] = {None: Role.OWNER}


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        ([person(OWNER)], [], False),
        ([person(OWNER)], [person({None: Role.ADMIN})], False),
        ([person(OWNER)], [person({"acme": Role.OWNER})], False),
        ([person(OWNER), person(OWNER, name="b")], [person(OWNER)], True),
        ([person(OWNER), person(OWNER, name="b", active=False)], [person(OWNER)], True),
        (
            [person(OWNER), person(OWNER, name="b", active=False)],
            [person(OWNER, name="b", active=False)],
            False,
        ),
        ([person(OWNER, active=False)], [], False),
        ([], [], True),
    ],
)
def test_the_last_owner_stays_one(
    before: list[Operator], after: list[Operator], stays: bool
) -> None:
    """One who has yet to sign up is no replacement for one who has."""
    if stays:
        model.require_owner_left(before, after)
    else:
        with pytest.raises(Conflict, match="last owner"):
            model.require_owner_left(before, after)


def test_what_is_seen_of_a_person_are_roles_where_one_may_look() -> None:
    """Somebody of another organization does not exist."""
    them = person({"acme": Role.OWNER, "other": Role.AUDITOR, None: Role.ADMIN})
    there = Powers.of(person({"acme": Role.AUDITOR}))
    seen = model.seen_by(there, them)

    assert seen is not None
    assert seen.roles == {"acme": Role.OWNER}
    assert model.seen_by(there, person({"other": Role.OWNER})) is None
    assert model.seen_by(Powers.of(person({None: Role.AUDITOR})), them) == them


def test_the_repr_of_an_operator_hides_the_password_hash() -> None:
    """Logs and tracebacks show reprs."""
    assert "argon2" not in repr(
        Operator(
            operator_id="opr_a",
            email="a@example.com",
            roles={},
            created_at=NOW,
            created_by=SYSTEM,
            password_hash="$argon2id$v=19$m=19456",
        )
    )
