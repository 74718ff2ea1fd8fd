"""What every shipped proxy does, whether it asks the server or checks tokens itself."""

import json

import pytest

from support.proxies.doors import Door, Issuer, is_refused


def test_a_granted_request_reaches_the_api(any_door: Door, issuer: Issuer) -> None:
    """As it came, with who calls, which scopes the token has, and for whom."""
    outcome = any_door.ask(
        "GET /customers?page=2", issuer.bearer("customers:read", "bookings:read")
    )

    assert outcome.status == 200
    assert json.loads(outcome.answer.body) == {"api": True}
    (received,) = outcome.reached
    assert (received.method, received.target) == ("GET", "/customers?page=2")
    assert received.values("x-hourpass-client-id") == [issuer.client.client_id]
    (scopes,) = received.values("x-hourpass-scopes")
    assert set(scopes.split(" ")) == {"customers:read", "bookings:read"}
    assert received.values("x-hourpass-organization") == ["default"]
    assert received.values("x-forwarded-method") == ["GET"]
    assert received.values("x-forwarded-uri") == ["/customers?page=2"]
    assert received.values("authorization")


def test_a_body_reaches_the_api(any_door: Door, issuer: Issuer) -> None:
    """The question has none; the request keeps its own, and its method."""
    outcome = any_door.ask("PUT /customer/1/profile", issuer.bearer("profile:write"), body=b"{}")

    assert outcome.status == 200
    assert outcome.reached[0].method == "PUT"
    assert outcome.reached[0].values("content-length") == ["2"]
    for asked in outcome.asked:
        assert asked.values("content-length") in ([], ["0"])


@pytest.mark.parametrize("status", [201, 401, 403, 404, 429, 500, 503])
def test_what_the_api_answers_stays(any_door: Door, issuer: Issuer, status: int) -> None:
    """Its own refusals are not taken for the proxy's."""
    any_door.api.status = status
    try:
        outcome = any_door.ask("GET /customers", issuer.bearer("customers:read"))
    finally:
        any_door.api.status = 200

    assert outcome.status == status
    assert json.loads(outcome.answer.body) == {"api": True}
    assert outcome.answer.values("x-api") == ["yes"]
    assert outcome.answer.values("www-authenticate") == []
    assert outcome.answer.values("cache-control") == []


def test_an_api_that_is_down_is_no_refusal(any_door: Door, issuer: Issuer) -> None:
    """The proxy's own error, which is not that of a request that was not judged."""
    bearer = issuer.bearer("customers:read")
    with any_door.api.is_cut():
        outcome = any_door.ask("GET /customers", bearer)

    assert outcome.status in ({503} if any_door.name in ("envoy", "haproxy", "apache") else {502})
    assert b"temporarily_unavailable" not in outcome.answer.body
    assert any_door.ask("GET /customers", bearer).status == 200


def test_get_opens_head(any_door: Door, issuer: Issuer) -> None:
    """HEAD is granted with GET, and is HEAD at the API."""
    outcome = any_door.ask("HEAD /customers", issuer.bearer("customers:read"))

    assert outcome.status == 200
    assert outcome.reached[0].method == "HEAD"


def test_without_a_token_nothing_is_named(any_door: Door) -> None:
    """A challenge without an error: the caller may not know yet that it needs a token."""
    is_refused(any_door.ask("GET /customers"), 401, None)
    is_refused(any_door.ask("GET /customers", "Authorization: Basic YTpi"), 401, None)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "", "a b", "é"])
def test_a_malformed_token_is_refused(any_door: Door, token: str) -> None:
    """401, whatever it is."""
    outcome = any_door.ask("GET /customers", f"Authorization: Bearer {token}")

    assert outcome.status in ({401, 400} if token == "é" else {401})
    assert outcome.reached == []


def test_a_token_for_another_api_is_refused(any_door: Door, issuer: Issuer) -> None:
    """Its audience is not this API, whatever the client asks in the query."""
    for target in ("/invoices", "/invoices?api=billing", "/invoices?limited=403&api=billing"):
        outcome = any_door.ask(f"GET {target}", issuer.bearer("invoices:read"))

        is_refused(outcome, 401, "invalid_token")


@pytest.mark.spec("threats", "12", "Only the two named forwarded headers are read")
def test_another_scope_does_not_open_it(any_door: Door, issuer: Issuer) -> None:
    """403 with the scope that would, also when the client forges which request it is."""
    forged = [
        (),
        ("X-Forwarded-Uri: /customers", "X-Forwarded-Method: GET"),
        ("X-Forwarded-Uri: /customers", "X-Forwarded-Uri: /customers"),
        ("x_forwarded_uri: /customers", "X_FORWARDED_METHOD: GET"),
        ("X-Original-URI: /customers", "X-Rewrite-URL: /customers", "X-HTTP-Method: GET"),
        ("Connection: close, X-Forwarded-Uri, X-Forwarded-Method",),
    ]
    for lines in forged:
        outcome = any_door.ask(
            "PUT /customer/1/profile", issuer.bearer("customers:read"), *lines, body=b"{}"
        )

        is_refused(outcome, 403, "insufficient_scope")
        assert 'scope="profile:write"' in outcome.challenge


def test_what_no_scope_opens_is_refused(any_door: Door, issuer: Issuer) -> None:
    """403 without the name of a scope, since there is none to ask for."""
    for request in ("GET /nothing", "DELETE /customers", "GET /customers/", "GET /Customers"):
        outcome = any_door.ask(request, issuer.bearer("customers:read"))

        is_refused(outcome, 403, "insufficient_scope")
        assert "scope=" not in outcome.challenge.replace("error=", "")


@pytest.mark.spec("threats", "12", "two of the same are refused")
def test_two_authorizations_are_refused(any_door: Door, issuer: Issuer) -> None:
    """In two lines or in one; nginx itself says 400 to two lines."""
    good = issuer.bearer("customers:read")
    token = good.partition(": ")[2]

    is_refused(any_door.ask("GET /customers", f"{good}, {token}"), 401, "invalid_token")
    for lines in ((good, good), (good, "Authorization: Basic YTpi"), (good, "authorization: x")):
        outcome = any_door.ask("GET /customers", *lines)
        assert outcome.status == (400 if any_door.name == "nginx" else 401)
        assert outcome.reached == []


AMBIGUOUS = [
    "/customers/../customer/1/bookings",
    "/customers/..",
    "/./customers",
    "/customers/.",
    "/customers/%2e%2e/customers",
    "/x/%2E%2e/customers",
    "/customer/1%2fbookings",
    "/customer%2F1/bookings",
    "/customer/1%5cbookings",
    "/customer/1\\bookings",
    "//customers",
    "/customers//",
    "/customer//bookings",
    "/customers;x=1",
    "/customer/1;x/bookings",
    "/customer/1%3Bx/bookings",
    "/customer/%252e%252e/bookings",
    "/customer/%25%32%66/bookings",
    "/customer/1%00/bookings",
    "/customer/1%0a/bookings",
    "/customer/1%3fx/bookings",
    "/customer/1%23x/bookings",
    "/customers#x",
    "/customers#/../x",
    "/customer/%ff/bookings",
    "/customer/%c0%af/bookings",
    "/customer/%/bookings",
    "/customer/%zz/bookings",
    "/customer/\x7f/bookings",
    "/customer/é/bookings",
    "/health/../customers",
    "*",
    "customers",
    "http:customers",
]


@pytest.mark.spec("threats", "12", "judged as the upstream will see them or refused")
@pytest.mark.parametrize("target", AMBIGUOUS)
def test_an_ambiguous_path_is_refused(any_door: Door, issuer: Issuer, target: str) -> None:
    """By the server, with 403, or by the proxy before, with 400: never a way in."""
    outcome = any_door.ask(f"GET {target}", issuer.bearer("customers:read", "bookings:read"))

    assert outcome.status in {400, 403, 404}
    assert outcome.reached == []


@pytest.mark.spec("threats", "12", "The path that is judged is the path that is served")
@pytest.mark.parametrize(
    "target",
    [
        "/customers?",
        "/customers??x",
        "/customers?next=/../a//b%2f;c",
        "/customers?api=billing&limited=403&x",
        "/customer/J%C3%BCrgen%20A./bookings?a=%zz",
        "/customer/a%2eb/booking/..c",
        "/customer/a:b@c,d=e!$&'()*+~/bookings",
        "/customer/%41/bookings",
        "http://localhost/customers?x",
    ],
)
def test_the_path_that_is_judged_is_served(any_door: Door, issuer: Issuer, target: str) -> None:
    """Octet for octet: what the server was asked about is what the API got."""
    outcome = any_door.ask(f"GET {target}", issuer.bearer("customers:read", "bookings:read"))

    assert outcome.status == 200
    (reached,) = outcome.reached
    expected = target.removeprefix("http://localhost")
    assert reached.target == expected
    assert reached.values("x-forwarded-uri") == [expected]
    for asked in outcome.asked:
        (judged,) = (
            [asked.target.removeprefix("/verify/bookings")]
            if any_door.name == "envoy"
            else asked.values("x-forwarded-uri")
        )
        assert judged == expected


SPELLINGS = [
    "X-Hourpass-Client-Id",
    "x-hourpass-client-id",
    "X_Hourpass_Client_Id",
    "X-Hourpass_Client-Id",
    "X_HOURPASS-CLIENT_ID",
    "x-hourpass-scopes",
    "X_HOURPASS_SCOPES",
    "X-Hourpass-Organization",
    "X-Hourpass_Organization",
    "X-Hourpass-Limited",
    "X-Forwarded-Uri",
    "x-forwarded-method",
    "X-Forwarded_Uri",
    "X_Forwarded_Method",
]


@pytest.mark.spec("threats", "12", "Identity headers from the client are stripped")
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_forged_header_never_arrives(any_door: Door, issuer: Issuer, name: str) -> None:
    """Sent once, twice, and named in Connection: the API gets the true values, once each."""
    bearer = issuer.bearer("customers:read")
    forged = f"{name}: forged"
    connection = f"Connection: close, {name.replace('_', '-')}"
    for lines in ((forged,), (forged, forged), (forged, connection), (connection,)):
        outcome = any_door.ask("GET /customers", bearer, *lines)

        assert outcome.status == 200
        (received,) = outcome.reached
        assert "forged" not in str(received.headers)
        assert set(received.named("hourpass")) <= {
            name
            for name, _ in received.headers
            if name.lower()
            in ("x-hourpass-client-id", "x-hourpass-scopes", "x-hourpass-organization")
        }
        assert received.values("x-hourpass-client-id") == [issuer.client.client_id]
        assert received.values("x-hourpass-scopes") == ["customers:read"]
        assert received.values("x-hourpass-organization") == ["default"]
        assert received.values("x-forwarded-uri") == ["/customers"]
        assert received.values("x-forwarded-method") == ["GET"]


def test_forged_headers_do_not_help_a_refused_request(any_door: Door, issuer: Issuer) -> None:
    """Neither without a token nor with one that lacks the scope."""
    forged = [f"{name}: {issuer.client.client_id}" for name in SPELLINGS]

    is_refused(any_door.ask("GET /customers", *forged), 401, None)
    lacking = any_door.ask("GET /customers", issuer.bearer("bookings:read"), *forged)
    is_refused(lacking, 403, "insufficient_scope")
