"""The catalogue's file: what it may say, and every fault in it named, all at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hourpass.oauth.grants import Grant
from hourpass.server.audit.events import printable
from hourpass.server.catalogue import file
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import Api, Scope
from support.installation import CATALOGUE

API = """
[[api]]
key = "bookings"
identifier = "https://api.example.com"
name = "Bookings API"
"""
SCOPE = """
[[api.scope]]
name = "bookings:read"
description = "Read bookings"
grants = ["GET /bookings"]
"""


def faults(text: str) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(CatalogueFault) as refused:
        file.parse(text)
    assert str(refused.value) == "; ".join(refused.value.faults)
    return refused.value.faults


@pytest.mark.spec("contract", "Catalogue", "A scope is resource:permission, has a description")
def test_a_file_with_every_member() -> None:
    """Becomes the API with its scope and grants."""
    (api,) = file.parse(
        """
        [[api]]
        key = "bookings"                                # in /verify?api=, hourpass.introspect:<key>
        identifier = "https://api.example.com"          # the token's aud
        name = "Bookings API"
        base_url = "https://api.example.com"            # shown to integrators
        [[api.scope]]
        name = "bookings:read"
        description = "Read a customer's event bookings"
        grants = ["GET /customer/{id}/bookings", "GET /customer/{id}/booking/{bookingId}"]
        """
    )

    assert api == Api(
        key="bookings",
        identifier="https://api.example.com",
        name="Bookings API",
        base_url="https://api.example.com",
        scopes=(
            Scope(
                name="bookings:read",
                description="Read a customer's event bookings",
                grants=(
                    Grant("GET", "/customer/{id}/bookings"),
                    Grant("GET", "/customer/{id}/booking/{bookingId}"),
                ),
            ),
        ),
    )


def test_what_may_be_left_out() -> None:
    """base_url is the identifier then; a scope may grant no request; settings are not ours."""
    (api,) = file.parse("[hourpass]\nport = 1\n" + API + SCOPE.replace('"GET /bookings"', ""))

    assert api.base_url == api.identifier
    assert api.scopes[0].grants == ()


@pytest.mark.spec(
    "contract", "Who may do what", "unless the catalogue keeps the API to some organizations"
)
def test_an_api_may_be_kept_to_some_organizations() -> None:
    """In any order, each once; left out, it is open to all."""
    kept = API + 'organizations = ["studio-north", "acme", "acme"]' + SCOPE

    assert file.parse(kept)[0].organizations == frozenset({"acme", "studio-north"})
    assert file.parse(API + SCOPE)[0].organizations is None


def test_a_grant_that_stands_there_twice_counts_once() -> None:
    """In the order of the file."""
    text = SCOPE.replace('["GET /bookings"]', '["PUT /b", "GET /a", "PUT /b"]')

    assert list(map(str, file.parse(API + text)[0].scopes[0].grants)) == ["PUT /b", "GET /a"]


BAD_FILES: dict[str, tuple[str, str]] = {
    "empty": ("", "there is no [[api]] in it"),
    "no API": ('[hourpass]\nissuer = "https://a.example"', "there is no [[api]] in it"),
    "API list empty": ("api = []", "there is no [[api]] in it"),
    "API a table": ("[api]\nkey = 'a'", "there is no [[api]] in it"),
    "not TOML": ("[[api", "not TOML"),
    "number too long for Python": ("x = " + "9" * 5000, "not TOML"),
    "nested too deep": ("x = " + "[" * 5000, "not TOML"),
    "lone surrogate": ('x = "\ud800"', "there is no [[api]] in it"),
    "API a number": ("api = [1]", "api 1: has to be a table, written [[api]]"),
    "scope a number": (API + "scope = [1]", "a scope has to be a table, written [[api.scope]]"),
    "unknown table": (API + SCOPE + "[apis]", "apis: unknown; only [[api]] and [hourpass] are"),
    "unknown member of an API": (API + "colour = 1" + SCOPE, "api bookings: colour is unknown"),
    "unknown member of a scope": (
        API + SCOPE + "grant = []",
        "api bookings, scope bookings:read: grant is unknown",
    ),
    "no key": (API.replace("key", "#") + SCOPE, "api 1: key is missing"),
    "key with capitals": (API.replace('"bookings"', '"Bookings"') + SCOPE, "key is 1-40 of a-z"),
    "key with a blank": (API.replace('"bookings"', '"a b"') + SCOPE, "key is 1-40 of a-z"),
    "key too long": (API.replace('"bookings"', f'"{"a" * 41}"') + SCOPE, "key is 1-40 of a-z"),
    "key of the management API": (
        API.replace('"bookings"', '"hourpass"') + SCOPE,
        "and not 'hourpass'",
    ),
    "key a number": (API.replace('"bookings"', "7") + SCOPE, "key has to be 1-100 printable"),
    "no identifier": (API.replace("identifier", "#") + SCOPE, "identifier is missing"),
    "identifier relative": (
        API.replace("https://api.example.com", "/api") + SCOPE,
        "identifier has to be an absolute URI",
    ),
    "identifier with a fragment": (
        API.replace("example.com", "example.com/#x") + SCOPE,
        "identifier has to be an absolute URI without a fragment",
    ),
    "identifier with a blank": (
        API.replace("example.com", "example.com/a b") + SCOPE,
        "identifier has to be an absolute URI",
    ),
    "identifier no URI at all": (
        API.replace("https://api.example.com", "https://[::1") + SCOPE,
        "identifier has to be an absolute URI",
    ),
    "identifier with a quote": (
        API.replace("example.com", 'example.com/\\"') + SCOPE,
        "identifier has to be an absolute URI",
    ),
    "identifier endless": (
        API.replace("example.com", "example.com/" + "a" * 2000) + SCOPE,
        "identifier has to be 1-2000 printable",
    ),
    "base_url relative": (API + 'base_url = "api"' + SCOPE, "base_url has to be an absolute URI"),
    "no name": (API.replace("name", "#") + SCOPE, "name is missing"),
    "name blank": (API.replace("Bookings API", "  ") + SCOPE, "name has to be 1-100 printable"),
    "name with an escape code": (
        API.replace("Bookings API", "\\u001b[31m") + SCOPE,
        "name has to be 1-100 printable",
    ),
    "no scope": (API, "needs at least one [[api.scope]]"),
    "scope list a text": (API + "scope = 'a:b'", "needs at least one [[api.scope]]"),
    "scope without a name": (API + SCOPE.replace("name", "#"), "a scope: name is missing"),
    "scope without a colon": (
        API + SCOPE.replace("bookings:read", "bookings"),
        "a scope is named resource:permission",
    ),
    "scope with capitals": (
        API + SCOPE.replace("bookings:read", "bookings:Read"),
        "a scope is named resource:permission, in lower case",
    ),
    "scope with a blank": (
        API + SCOPE.replace("bookings:read", "bookings: read"),
        "a scope is named resource:permission",
    ),
    "reserved scope": (
        API + SCOPE.replace("bookings:read", "hourpass.clients:read"),
        "names that begin hourpass. are Hourpass's own",
    ),
    "scope without a description": (API + SCOPE.replace("desc", "#"), "description is missing"),
    "scope twice in one API": (API + SCOPE + SCOPE, "scope bookings:read stands there twice"),
    "scope in two APIs": (
        API + SCOPE + API.replace("bookings", "b").replace("api.", "b.") + SCOPE,
        "scope bookings:read stands there twice; it belongs to one API",
    ),
    "API key twice": (
        API + SCOPE + API.replace("api.", "b.") + SCOPE.replace("read", "write"),
        "API key bookings stands there twice",
    ),
    "API identifier twice": (
        API + SCOPE + API.replace("bookings", "b") + SCOPE.replace("read", "write"),
        "API identifier https://api.example.com stands there twice",
    ),
    "grants a text": (
        API + SCOPE.replace('["GET /bookings"]', '"GET /bookings"'),
        "grants has to be a list",
    ),
    "limit of none": (
        API + SCOPE + "limit_per_minute = 0",
        "scope bookings:read: limit_per_minute",
    ),
    "limit too high": (
        API + "limit_per_minute = 1000001" + SCOPE,
        "api bookings: limit_per_minute has to be a whole number, 1-1000000",
    ),
    "limit a fraction": (API + "limit_per_minute = 1.0" + SCOPE, "has to be a whole number"),
    "limit a text": (API + "limit_per_minute = '60'" + SCOPE, "has to be a whole number"),
    "limit a truth": (API + "limit_per_minute = true" + SCOPE, "has to be a whole number"),
    "kept to nobody": (
        API + "organizations = []" + SCOPE,
        "api bookings: organizations has to be a list of IDs, with at least one in it; leave it",
    ),
    "kept to a text": (API + "organizations = 'acme'" + SCOPE, "has to be a list of IDs"),
    "kept to a number": (API + "organizations = [7]" + SCOPE, "an ID is 1-40 of a-z, 0-9 and -"),
    "kept to a list": (
        API + "organizations = [['acme']]" + SCOPE,
        "api bookings: organizations: an ID is 1-40 of a-z, 0-9 and -, not ['acme']",
    ),
    "kept to a name": (API + "organizations = ['Acme Ltd']" + SCOPE, "0-9 and -, not Acme Ltd"),
    "kept to an escape code": (API + 'organizations = ["\\u001b[2J"]' + SCOPE, "not \ufffd[2J"),
    "kept to something endless": (
        API + f"organizations = ['{'a' * 5000}']" + SCOPE,
        f"not {'a' * 50}",
    ),
    "a scope kept": (
        API + SCOPE + "organizations = ['acme']",
        "scope bookings:read: organizations is unknown",
    ),
    "grant a number": (API + SCOPE.replace('"GET /bookings"', "7"), "'7' is not of the form"),
}
BAD_GRANTS = [
    "",
    "/bookings",
    "GET",
    "GET bookings",
    "get /bookings",
    "GET  /bookings",
    " GET /bookings",
    "GET /bookings ",
    "GET /bookings\\n",
    "GET //bookings",
    "GET /a/../b",
    "GET /a/./b",
    "GET /..",
    "GET /a?b=c",
    "GET /a#b",
    "GET /a\\\\b",
    "GET /{}",
    "GET /{a b}",
    "GET /x{id}",
    "GET /{id}x",
    "GET /{id",
    "GET /é",
    "GET https://api.example.com/a",
]


@pytest.mark.parametrize("bad", BAD_FILES)
def test_each_fault_is_named(bad: str) -> None:
    """One file, one fault, one line that says where and what."""
    text, said = BAD_FILES[bad]
    found = faults(text)
    assert said in found[0]
    assert len(found) == 1 or "has to be a table" in said
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("grant", BAD_GRANTS)
@pytest.mark.spec("contract", "Catalogue", "{name} is one non-empty segment")
def test_a_grant_has_one_form(grant: str) -> None:
    """A method in capitals, one space, a path whose segments are literal or a name in braces."""
    (fault,) = faults(API + SCOPE.replace("GET /bookings", grant))
    assert "is not of the form 'GET /path/{name}'" in fault


@pytest.mark.parametrize(
    "grant",
    ["GET /", "GET /a/", "DELETE /a/{b}/c/{d_1}", "PROPFIND /a", "GET /a%20b/~x/v=1/@me:all"],
)
def test_a_grant_reads_back_as_it_was_written(grant: str) -> None:
    """The text of a grant is the grant."""
    assert str(Grant.parse(grant)) == grant


def test_several_faults_are_told_at_once() -> None:
    """Whoever repairs the file repairs it once."""
    text = """
    colour = "red"
    [[api]]
    key = "A"
    identifier = "relative"
    name = ""
    size = 1
    [[api.scope]]
    name = "Wrong"
    grants = ["nonsense", 7, "GET /fine"]
    [[api]]
    key = "b"
    identifier = "https://b.example"
    name = "B"
    [[api]]
    key = "b"
    identifier = "https://b.example"
    name = "B again"
    [[api.scope]]
    name = "b:read"
    description = "Read"
    """
    assert sorted(faults(text)) == sorted(
        [
            "colour: unknown; only [[api]] and [hourpass] are",
            "api A: size is unknown",
            "api A: key is 1-40 of a-z, 0-9 and -, and not 'hourpass'",
            "api A: identifier has to be an absolute URI without a fragment",
            "api A: name has to be 1-100 printable characters",
            "api A, scope Wrong: a scope is named resource:permission, in lower case",
            "api A, scope Wrong: 'nonsense' is not of the form 'GET /path/{name}'",
            "api A, scope Wrong: '7' is not of the form 'GET /path/{name}'",
            "api A, scope Wrong: description is missing",
            "api b: needs at least one [[api.scope]]",
            "API key b stands there twice; it belongs to one API",
            "API identifier https://b.example stands there twice; it belongs to one API",
        ]
    )


PIECES = st.sampled_from(
    [
        *("[[api]]\n", "[[api.scope]]\n", "[hourpass]\n", "[api]\n", "\n", "=", ".", ",", "#"),
        *("key", "identifier", "name", "description", "grants", "scope", "base_url", "api", "x"),
        *("organizations", ' = ["acme"]\n'),
        *(' = "bookings"\n', ' = "https://api.example.com"\n', ' = "a:b"\n', " = 1\n", " = []\n"),
        *(" = [[]]\n", " = {}\n", " = true\n", " = inf\n", " = 1979-05-27\n", ' = ["GET /a"]\n'),
        *(
            ' = "\\ud800"\n',
            ' = "\\u0000"\n',
            " = '''\n",
            " = 0x",
            "9" * 5000,
            "[" * 2000,
            "{x=" * 500,
        ),
    ]
)


SCRAPS = PIECES | st.text(max_size=5)
PLACES = st.integers(0, len(CATALOGUE))
SPOILED = st.builds(
    lambda start, length, scrap: CATALOGUE[:start] + scrap + CATALOGUE[start + length :],
    PLACES,
    st.integers(0, 60),
    SCRAPS,
)


@given(text=SPOILED | st.lists(SCRAPS, max_size=30).map("".join))
@example(text=CATALOGUE)
@example(text="x=" + "9" * 5000)
@example(text="x=" + "{x=" * 5000)
def test_any_text_is_a_catalogue_or_a_catalogue_fault(text: str) -> None:
    """No other exception gets out, whatever the file; a good one has APIs with scopes."""
    file.is_settings_only(text)
    try:
        apis = file.parse(text)
    except CatalogueFault as fault:
        assert fault.faults
        assert all(fault.faults)
    else:
        assert apis
        assert all(api.scopes for api in apis)


_WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: bool(text.strip()) and printable(text, 40) == text
)
_SCOPE_NAMES = st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,9}:[a-z][a-z._-]{0,5}\Z")
_GRANTS = st.builds(
    Grant,
    st.sampled_from(["GET", "PUT"]),
    st.lists(st.sampled_from(["a", "{id}", "%20", "~", "@me"]), min_size=1).map(
        lambda parts: "/" + "/".join(parts)
    ),
)
_LIMITS = st.none() | st.integers(1, 1_000_000)
_KEPT_TO = st.none() | st.frozensets(st.from_regex(r"\A[a-z0-9-]{1,40}\Z"), min_size=1, max_size=3)
_SCOPES = st.builds(
    Scope,
    name=_SCOPE_NAMES,
    description=_WORDS,
    grants=st.lists(_GRANTS, max_size=3, unique=True).map(tuple),
    limit_per_minute=_LIMITS,
)


@given(
    scopes=st.lists(_SCOPES, min_size=1, max_size=3, unique_by=lambda s: s.name),
    name=_WORDS,
    limit=_LIMITS,
    kept_to=_KEPT_TO,
)
def test_what_is_written_reads_back(
    scopes: list[Scope], name: str, limit: int | None, kept_to: frozenset[str] | None
) -> None:
    """Names, descriptions, grants, limits and organizations arrive unchanged, in their order."""
    api = Api(
        key="a",
        identifier="urn:example:a",
        name=name,
        base_url="https://a.example/v1",
        scopes=tuple(scopes),
        limit_per_minute=limit,
        organizations=kept_to,
    )
    assert file.parse(file.write((api,))) == (api,)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ('[hourpass]\nissuer = "https://a.example"', True),
        ("[hourpass]", True),
        (CATALOGUE, False),
        ("[hourpass]\n" + CATALOGUE, False),
        ("", False),
        ("[[api", False),
        ("x = " + "9" * 5000, False),
        ("x = " + "[" * 5000, False),
    ],
)
@pytest.mark.spec("contract", "Catalogue", "a file without any [[api]] is refused")
def test_a_file_of_settings_only_is_no_catalogue(text: str, only: bool) -> None:
    """It changes nothing; any other file without an API is a fault."""
    assert file.is_settings_only(text) is only
