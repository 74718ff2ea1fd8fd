"""Which scopes and which audience: "One token, one purpose", and threat 3."""

from typing import Any

import pytest
from request_templates import MEMBERS, POST, Template, form, json_of
from token_answers import claims_in, refused, token_in

from support.installation import CATALOGUE, Credentials, Server

BOOKINGS, BILLING = "https://api.example.com", "https://billing.example.com"
READ, WRITE, INVOICES = "customers:read", "profile:write", "invoices:read"
CLIENTS, KEYS = "hourpass.clients:read", "hourpass.keys:write"
INTROSPECT = "hourpass.introspect:bookings"
ALL = (READ, WRITE, INVOICES, CLIENTS, KEYS, INTROSPECT)
INVALID_TARGET = (400, "invalid_target")
INVALID_SCOPE = (400, "invalid_scope")


def granted(server: Server, credentials: Credentials, **parameters: str) -> tuple[str, Any]:
    """The scopes and the audience of the token."""
    answer = server.token(credentials, **parameters)
    claims = claims_in(answer)
    assert answer.json()["scope"] == claims["scope"]
    return claims["scope"], claims["aud"]


@pytest.fixture(scope="module")
def strong(shared_server: Server) -> Credentials:
    """A client that holds scopes of two APIs, of the management API, and of introspection."""
    return shared_server.installation.create_client(*ALL)


@pytest.fixture(scope="module")
def management(shared_server: Server) -> str:
    """The management API's identifier."""
    return f"{shared_server.url}/api/v1"


@pytest.mark.spec("contract", "Credentials", "every scope except the built-in management scopes")
@pytest.mark.spec("RFC 9068", "2.2", "aud is what the token is for")
def test_asking_for_nothing_gives_all_but_management(
    shared_server: Server, strong: Credentials
) -> None:
    """With the audiences of both APIs, as an array."""
    assert granted(shared_server, strong) == (
        "customers:read invoices:read profile:write",
        [BOOKINGS, BILLING],
    )


@pytest.mark.spec("contract", "Credentials", "aud is the API; an array when they are several")
@pytest.mark.parametrize(
    ("held", "audience"),
    [
        ([READ], BOOKINGS),
        ([READ, WRITE], BOOKINGS),
        ([INVOICES], BILLING),
        ([READ, INTROSPECT], BOOKINGS),
        ([READ, KEYS], BOOKINGS),
        ([READ, INVOICES], [BOOKINGS, BILLING]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_audience_is_the_api_of_the_scopes(
    shared_server: Server, held: list[str], audience: str | list[str]
) -> None:
    """A string for one, an array for several."""
    credentials = shared_server.installation.create_client(*held)

    scope, found = granted(shared_server, credentials)

    assert found == audience
    assert set(scope.split()) == {name for name in held if not name.startswith("hourpass.")}


@pytest.mark.spec("RFC 8707", "2.2", "the token is restricted to the resource")
@pytest.mark.spec("contract", "Credentials", "resource narrows to one API")
def test_a_resource_narrows_to_one_api(shared_server: Server, strong: Credentials) -> None:
    """Its scopes only, and its audience as a string."""
    bookings = granted(shared_server, strong, resource=BOOKINGS)
    billing = granted(shared_server, strong, resource=BILLING)

    assert bookings == ("customers:read profile:write", BOOKINGS)
    assert billing == ("invoices:read", BILLING)
    assert granted(shared_server, strong, resource=BOOKINGS, scope=READ) == (READ, BOOKINGS)


@pytest.mark.spec("RFC 6749", "3.3", "the scope parameter narrows what is issued")
def test_a_scope_narrows_to_what_is_asked_for(shared_server: Server, strong: Credentials) -> None:
    """In one API or in two; the audience follows."""
    assert granted(shared_server, strong, scope=READ) == (READ, BOOKINGS)
    assert granted(shared_server, strong, scope=INVOICES) == (INVOICES, BILLING)
    both = granted(shared_server, strong, scope=f"{INVOICES} {READ}")
    assert both == (f"{READ} {INVOICES}", [BOOKINGS, BILLING])


@pytest.mark.spec("contract", "Credentials", "A management token must be asked for")
def test_a_management_token_is_asked_for_by_resource_or_by_name(
    shared_server: Server, strong: Credentials, management: str
) -> None:
    """By resource all of them, by name the named ones; introspection never."""
    everything = (f"{CLIENTS} {KEYS}", management)

    assert granted(shared_server, strong, resource=management) == everything
    assert granted(shared_server, strong, scope=f"{KEYS} {CLIENTS}") == everything
    assert granted(shared_server, strong, scope=KEYS) == (KEYS, management)
    assert granted(shared_server, strong, scope=KEYS, resource=management) == (KEYS, management)


@pytest.mark.spec("contract", "Credentials", "a client that holds nothing else needs no asking")
def test_a_client_of_the_management_api_alone_needs_no_asking(
    shared_server: Server, management: str
) -> None:
    """Also when it may introspect besides."""
    only = shared_server.installation.create_client(CLIENTS, KEYS)
    besides = shared_server.installation.create_client(CLIENTS, INTROSPECT)

    assert granted(shared_server, only) == (f"{CLIENTS} {KEYS}", management)
    assert granted(shared_server, besides) == (CLIENTS, management)


@pytest.mark.spec("contract", "Credentials", "hourpass.introspect is no part of any token")
def test_introspection_is_in_no_token(
    shared_server: Server, strong: Credentials, management: str
) -> None:
    """Not by default, not by resource, not by name; a client of nothing else gets none."""
    alone = shared_server.installation.create_client(INTROSPECT)

    for resource in (BOOKINGS, BILLING, management):
        assert "introspect" not in granted(shared_server, strong, resource=resource)[0]
    refused(shared_server.token(strong, scope=INTROSPECT), *INVALID_SCOPE)
    refused(shared_server.token(strong, scope=f"{READ} {INTROSPECT}"), *INVALID_SCOPE)
    refused(shared_server.token(alone), *INVALID_SCOPE)
    refused(shared_server.token(alone, scope=INTROSPECT), *INVALID_SCOPE)
    refused(shared_server.token(alone, resource=management), *INVALID_TARGET)


@pytest.mark.spec("contract", "Credentials", "mixes the management API with another")
@pytest.mark.parametrize("scope", [f"{READ} {CLIENTS}", f"{CLIENTS} {INVOICES}", " ".join(ALL[:5])])
def test_one_token_is_never_for_management_and_for_more(
    shared_server: Server, strong: Credentials, scope: str
) -> None:
    """As a form and as JSON."""
    refused(shared_server.token(strong, scope=scope), *INVALID_TARGET)
    refused(json_of(f'{MEMBERS},"scope":"{scope}"').send(shared_server, strong), *INVALID_TARGET)


@pytest.mark.spec("RFC 8707", "2", "invalid_target: unknown or malformed resource")
@pytest.mark.parametrize(
    "resource",
    [
        *("https://nobody.example", f"{BOOKINGS}/", f"{BOOKINGS}#x", f"{BOOKINGS}?x", "bookings"),
        *("https://API.example.com", "HTTPS://api.example.com", "https://api.example.com:443"),
        *("http://api.example.com", "api.example.com", "https://api.example.co", "*", " "),
        *(f"{BOOKINGS} {BILLING}", "https://api.example.com.attacker.example", "\x00", "é"),
    ],
)
def test_a_resource_is_an_identifier_to_the_octet(
    shared_server: Server, strong: Credentials, resource: str
) -> None:
    """No normalising, no prefix, no list."""
    refused(shared_server.token(strong, resource=resource), *INVALID_TARGET)


def test_the_management_api_has_one_name(
    shared_server: Server, strong: Credentials, management: str
) -> None:
    """Neither a part of it nor another spelling."""
    for resource in (shared_server.url, f"{management}/", f"{management}/clients", "/api/v1"):
        refused(shared_server.token(strong, resource=resource), *INVALID_TARGET)


def test_a_resource_that_does_not_go_with_the_scopes_is_no_target(
    shared_server: Server, strong: Credentials, management: str
) -> None:
    """A scope of another API, or an API of which the client holds nothing."""
    weak = shared_server.installation.create_client(READ)

    for scope, resource in (
        *((INVOICES, BOOKINGS), (f"{READ} {INVOICES}", BOOKINGS), (READ, management)),
        *((CLIENTS, BOOKINGS), (f"{CLIENTS} {READ}", management)),
    ):
        refused(shared_server.token(strong, scope=scope, resource=resource), *INVALID_TARGET)
    refused(shared_server.token(weak, resource=BILLING), *INVALID_TARGET)
    refused(shared_server.token(weak, resource=management), *INVALID_TARGET)


@pytest.mark.spec("threats", "3", "Scopes are exact: no wildcard, no prefix, no normalising.")
@pytest.mark.spec("RFC 6749", "3.3", "scope values are case-sensitive strings")
@pytest.mark.parametrize(
    "scope",
    [
        *("customers", "customers:", "customers:rea", "customers:readx", "customers:*", "*"),
        *("Customers:read", "CUSTOMERS:READ", "customers:Read", "xcustomers:read", ":read"),
        *("customers:read,invoices:read", "customers:read;", "customers.read", "customers/read"),
        *("hourpass.clients", "hourpass.*", "hourpass", "openid", "profile", "offline_access"),
        *("customers:read customers:write", "bookings:read", "profile:write nobody:knows"),
        *(
            "customers:read\u200b",
            "customers:re\u0430d",
            "\uff43ustomers:read",
            "customers:r\xe9ad",
        ),
        *(" customers:read", "customers:read ", "customers:read  profile:write", "  "),
        *("customers:read\tprofile:write", "customers:read\nprofile:write", "customers:read\x00"),
        *('"customers:read"', "customers:read\\", "customers%3Aread", "customers:read+"),
    ],
)
def test_scopes_are_exact(shared_server: Server, strong: Credentials, scope: str) -> None:
    """Whatever is not a name that the client holds, to the octet, is refused as a whole."""
    refused(shared_server.token(strong, scope=scope), *INVALID_SCOPE)


@pytest.mark.spec("RFC 6749", "5.2", "invalid_scope: the scope exceeds what was granted")
def test_nobody_gets_what_it_does_not_hold(shared_server: Server) -> None:
    """Not alone and not beside what it does hold; it learns nothing of who holds it."""
    weak = shared_server.installation.create_client(READ)
    shared_server.installation.create_client(*ALL)

    for scope in (WRITE, INVOICES, CLIENTS, KEYS, INTROSPECT, f"{READ} {WRITE}"):
        refused(shared_server.token(weak, scope=scope), *INVALID_SCOPE)
    exists = shared_server.token(weak, scope=WRITE).text
    assert shared_server.token(weak, scope="nobody:knows").text == exists.replace(
        WRITE, "nobody:knows"
    )
    assert granted(shared_server, weak) == (READ, BOOKINGS)


@pytest.mark.spec("contract", "Catalogue", "retired: its holders keep it")
def test_the_server_follows_the_catalogue_as_it_changes(server: Server) -> None:
    """A new API can be asked for at once; a retired scope stays with whoever holds it."""
    installation = server.installation
    credentials = installation.create_client(READ, INVOICES)
    assert granted(server, credentials) == (f"{READ} {INVOICES}", [BOOKINGS, BILLING])
    events = "https://events.example.com"
    refused(server.token(credentials, resource=events), *INVALID_TARGET)

    without_invoices = CATALOGUE.partition('[[api]]\nkey = "billing"')[0]
    installation.apply_catalogue(
        f'{without_invoices}[[api]]\nkey = "events"\nidentifier = "{events}"\nname = "Events"\n'
        '[[api.scope]]\nname = "events:read"\ndescription = "Read events"\n'
        'grants = ["GET /events"]\n'
    )

    newcomer = installation.create_client("events:read")
    assert granted(server, newcomer, resource=events) == ("events:read", events)
    assert granted(server, credentials, resource=BILLING) == (INVOICES, BILLING)
    assert granted(server, credentials) == (f"{READ} {INVOICES}", [BOOKINGS, BILLING])


def test_the_last_spelling_is_as_good_as_the_first(
    shared_server: Server, strong: Credentials
) -> None:
    """The order and the repetition of names change nothing: the same set, the same answer."""
    spellings: list[Template] = [
        form(f"{POST}&scope={READ} {WRITE}"),
        form(f"{POST}&scope={WRITE} {READ} {WRITE}"),
        form(f"{POST}&resource={BOOKINGS}"),
        json_of(f'{MEMBERS},"scope":"{WRITE} {READ}","resource":"{BOOKINGS}"'),
    ]

    answers = [spelling.send(shared_server, strong) for spelling in spellings]

    assert len({token_in(answer) for answer in answers}) == len(spellings)
    assert {answer.json()["scope"] for answer in answers} == {f"{READ} {WRITE}"}
    assert all(claims_in(answer)["aud"] == BOOKINGS for answer in answers)
