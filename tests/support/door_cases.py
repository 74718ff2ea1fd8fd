"""One table of requests that every door to a protected API answers alike.

A door is whatever stands before the API and checks its tokens: a middleware, a decorator, a
proxy. The API behind it is that of the test catalogue (`support.installation.CATALOGUE`), and
answers 200 to every request that it gets. Take the cases of a door with `cases_for`, send each
with `send`, and hand the answer to `check`.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from support.door_tokens import ABSENT, AUDIENCE, OTHER_AUDIENCE, Tokens
from support.raw_http import Connection, RawAnswer

GRANTS = "grants"
"""Marks doors that judge method and path by the catalogue's grants."""
ONLINE = "online"
"""Marks doors that ask the server about each token."""

Authorization = Callable[[Tokens], tuple[str, ...]]
_PARAMETER = re.compile(r'([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request and the one answer to it.

    `authorization` makes the values of its Authorization headers; `target` is what stands in
    the request line. `error` and `scope` are those of the challenge; no error at 401: the
    challenge has no parameter but the realm. `only` are marks that a door must have for this
    case. Where programs in front of the door (its HTTP server, its proxy) may read the target
    in a way of their own, `may_serve` is the path they may make of it, if they then serve just
    that, and `or_status` what they may answer themselves.
    """

    name: str
    authorization: Authorization
    method: str = "GET"
    target: str = "/customers"
    headers: tuple[tuple[str, str], ...] = ()
    status: int
    error: str | None = None
    scope: str | None = None
    only: frozenset[str] = frozenset()
    may_serve: str | None = None
    or_status: frozenset[int] = frozenset()

    @property
    def served(self) -> str:
        """The decoded path that the API gets with a 200."""
        return unquote(self.target.partition("?")[0])


def cases_for(*marks: str) -> list[Case]:
    """The cases of a door with these marks (`GRANTS`, `ONLINE`)."""
    return [case for case in CASES if case.only <= set(marks)]


def send(port: int, case: Case, tokens: Tokens) -> RawAnswer:
    """Send it as it stands; ConnectionError when the server hangs up without an answer."""
    lines = [f"{case.method} {case.target} HTTP/1.1", "Host: localhost"]
    lines += [f"Authorization: {value}" for value in case.authorization(tokens)]
    lines += [f"{name}: {value}" for name, value in case.headers]
    if case.method in ("POST", "PUT"):
        lines.append("Content-Length: 0")
    request = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with Connection(port) as connection:
        connection.send(request)
        return connection.last_answer(to_head=case.method == "HEAD")


def check(
    case: Case, answer: RawAnswer, *, served: str | None = None, may_be_stored: bool = False
) -> None:
    """Assert that `answer` is the case's. `served` is the decoded path that the API got.

    `may_be_stored`: this door cannot set Cache-Control.
    """
    if answer.status == 200:
        expected = (case.served,) if case.status == 200 else (case.may_serve,)
        assert served in expected, f"{case.name}: served {served}"
        return
    if answer.status in case.or_status:
        return
    assert answer.status == case.status, f"{case.name}: {answer}"
    parameters = challenge(answer)
    assert parameters.pop("realm") == AUDIENCE
    assert parameters.get("error") == case.error, f"{case.name}: {answer}"
    assert parameters.get("scope") == case.scope, f"{case.name}: {answer}"
    if case.error is None:
        assert set(parameters) <= {"resource_metadata"}
    elif case.method != "HEAD":
        assert answer.header("content-type") == "application/json"
        assert json.loads(answer.body)["error"] == case.error
    assert may_be_stored or answer.header("cache-control") == "no-store"


def challenge(answer: RawAnswer) -> dict[str, str]:
    """The parameters of the one Bearer challenge (RFC 6750 section 3)."""
    values = [value for name, value in answer.headers if name == "www-authenticate"]
    assert len(values) == 1, answer
    assert re.fullmatch(rf"Bearer {_PARAMETER.pattern}(, {_PARAMETER.pattern})*", values[0])
    return dict(_PARAMETER.findall(values[0]))


def _bearer(token: Callable[[Tokens], str]) -> Authorization:
    return lambda tokens: (f"Bearer {token(tokens)}",)


def _claims(changes: dict[str, object]) -> Authorization:
    return _bearer(lambda tokens: tokens.token(**changes))


def _values(*templates: str) -> Authorization:
    """Values in which `@` stands for a good token."""
    return lambda tokens: tuple(text.replace("@", tokens.good) for text in templates)


_GOOD = _values("Bearer @")
_400 = frozenset((400,))
_TOO_LARGE = frozenset((400, 414, 431))
_GRANTS_ONLY = frozenset((GRANTS,))


def _good_headers() -> Iterable[Case]:
    spelled = {
        "a good token": "Bearer @",
        "scheme in lower case": "bearer @",
        "scheme in capitals": "BEARER @",
        "two spaces": "Bearer  @",
        "blanks around": "  Bearer @ \t",
    }
    for name, value in spelled.items():
        yield Case(name=name, authorization=_values(value), status=200)
    others = [f"{OTHER_AUDIENCE}/{number}" for number in range(9)]
    lists = {
        "audience list with it": [OTHER_AUDIENCE, AUDIENCE],
        "audience list with it last of many": [*others, AUDIENCE],
    }
    for name, audiences in lists.items():
        yield Case(name=name, authorization=_claims({"aud": audiences}), status=200)


def _missing_tokens() -> Iterable[Case]:
    values: dict[str, tuple[str, ...]] = {
        "no Authorization header": (),
        "empty Authorization header": ("",),
        "Basic credentials": ("Basic YTpi",),
        "Digest credentials": ('Digest username="a", realm="b, c", nonce="d"',),
        "another scheme": ("Token @",),
        "scheme grown together": ("Bearer@",),
        "token without a scheme": ("@",),
        "scheme with another end": ("BearerX @",),
    }
    for name, templates in values.items():
        yield Case(name=name, authorization=_values(*templates), status=401)
    yield Case(
        name="token in the query",
        authorization=_values(),
        target="/customers?access_token=abc&authorization=Bearer%20abc",
        status=401,
    )
    yield Case(
        name="no token for a path that is not there",
        authorization=_values(),
        target="/nowhere",
        status=401,
    )
    yield Case(
        name="no token for an ambiguous path",
        authorization=_values(),
        target="/customer/../bookings",
        status=401,
        or_status=_400,
    )


def _malformed_headers() -> Iterable[Case]:
    values: dict[str, tuple[str, ...]] = {
        "scheme alone": ("Bearer",),
        "tab for the space": ("Bearer\t@",),
        "comma for the space": ("Bearer,@",),
        "two tokens": ("Bearer @ @",),
        "token in quotes": ('Bearer "@"',),
        "token as a parameter": ("Bearer token=@",),
        "space in the token": ("Bearer @ x",),
        "non-ASCII octets": ("Bearer @\xe9",),
        "no-break space after it": ("Bearer @\xa0",),
        "another control after it": ("Bearer @\x85",),
        "two headers": ("Bearer @", "Bearer @"),
        "two headers, one Basic": ("Basic YTpi", "Bearer @"),
        "two headers, one empty": ("Bearer @", ""),
        "two headers, the first empty": ("", "Bearer @"),
        "two joined by a comma": ("Bearer @, Bearer @",),
        "two joined by a comma alone": ("Bearer @,Bearer @",),
        "Basic joined before": ("Basic YTpi, Bearer @",),
        "Basic joined after": ("Bearer @, Basic YTpi",),
        "comma at the end": ("Bearer @,",),
        "comma in front": (", Bearer @",),
        "NUL in the token": ("Bearer @\0",),
        "no token at all": ("Bearer not-a-token",),
        "empty segments": ("Bearer ..",),
        "segments of nothing": ("Bearer a.b.c",),
        "five segments": ("Bearer a.b.c.d.e",),
        "a segment more": ("Bearer @.e30",),
        "padding at the end": ("Bearer @==",),
    }
    for name, templates in values.items():
        yield Case(
            name=name,
            authorization=_values(*templates),
            status=401,
            error="invalid_token",
            or_status=_400,  # some servers refuse such headers themselves
        )
    yield Case(
        name="9 KiB token",
        authorization=_bearer(lambda tokens: tokens.token(padding="x" * 6900)),
        status=401,
        error="invalid_token",
        or_status=_TOO_LARGE,
    )


def _bad_tokens() -> Iterable[Case]:
    """Every one is well formed; all but the first few are well signed."""
    made: dict[str, Callable[[Tokens], str]] = {
        "alg none": lambda tokens: tokens.unsigned,
        "alg none with a signature": lambda tokens: tokens.with_header(alg="none"),
        "alg None": lambda tokens: tokens.with_header(alg="None"),
        "alg of another key": lambda tokens: tokens.with_header(alg="RS256"),
        "alg missing": lambda tokens: tokens.with_header(alg=ABSENT),
        "HS256 with the public key": lambda tokens: tokens.hs256_with_the_public_key,
        "payload exchanged": lambda tokens: tokens.with_more_scopes,
        "signature changed": lambda tokens: tokens.with_another_signature,
        "signature cut": lambda tokens: tokens.good[:-4],
        "signature missing": lambda tokens: tokens.good.rpartition(".")[0],
        "signed by a stranger": lambda tokens: tokens.of_a_stranger,
        "embedded jwk": lambda tokens: tokens.with_its_own_key,
        "embedded jwk beside a good signature": lambda t: t.with_header(jwk={"kty": "EC"}),
        "jku": lambda tokens: tokens.with_header(jku="http://127.0.0.1:1/jwks.json"),
        "x5u": lambda tokens: tokens.with_header(x5u="http://127.0.0.1:1/key.pem"),
        "crit": lambda tokens: tokens.with_header(crit=["exp"]),
        "crit, unencoded payload": lambda tokens: tokens.with_header(crit=["b64"], b64=False),
        "typ JWT": lambda tokens: tokens.with_header(typ="JWT"),
        "typ missing": lambda tokens: tokens.with_header(typ=ABSENT),
        "typ of a wrong type": lambda tokens: tokens.with_header(typ=["at+jwt"]),
        "kid missing": lambda tokens: tokens.with_header(kid=ABSENT),
        "kid null": lambda tokens: tokens.with_header(kid=None),
        "kid number": lambda tokens: tokens.with_header(kid=0),
        "kid path": lambda tokens: tokens.with_header(kid="../../../../dev/null"),
        "kid SQL": lambda tokens: tokens.with_header(kid="' or 1=1 --"),
        "kid URL": lambda tokens: tokens.with_header(kid="http://127.0.0.1:1/"),
        "payload is no JSON": lambda tokens: tokens.of_payload(b"\xff"),
        "payload is a list": lambda tokens: tokens.of_payload(b"[]"),
        "payload is deep": lambda tokens: tokens.of_payload(b"[" * 2000),
        "exp twice": lambda tokens: tokens.of_payload(
            json.dumps(tokens.claims()).encode()[:-1] + b',"exp":9999999999}'
        ),
        "exp NaN": lambda tokens: tokens.token(exp=float("nan")),
        "exp infinite": lambda tokens: tokens.token(exp=float("inf")),
        "expired": lambda tokens: tokens.token(exp=int(tokens.clock()) - 1),
        "issued in the future": lambda tokens: tokens.token(iat=int(tokens.clock()) + 300),
        "other issuer": lambda tokens: tokens.token(iss="https://other.example.com"),
        "issuer with a slash": lambda tokens: tokens.token(iss=tokens.issuer + "/"),
    }
    claims: dict[str, dict[str, object]] = {
        "other audience": {"aud": OTHER_AUDIENCE},
        "audience is longer": {"aud": AUDIENCE + "/"},
        "audience is shorter": {"aud": AUDIENCE[:-1]},
        "audience list without it": {"aud": [OTHER_AUDIENCE, AUDIENCE + ".evil.example"]},
        "audience list with it in a longer text": {"aud": [f'x", "{AUDIENCE}", "y']},
        "audience list of mixed types": {"aud": [AUDIENCE, 1]},
        "audience object": {"aud": {AUDIENCE: True}},
        "audience missing": {"aud": ABSENT},
        "issuer missing": {"iss": ABSENT},
        "issuer list": {"iss": ["x"]},
        "exp missing": {"exp": ABSENT},
        "exp string": {"exp": "9999999999"},
        "exp true": {"exp": True},
        "exp huge": {"exp": 10**300},
        "exp negative": {"exp": -1},
        "exp null": {"exp": None},
        "iat missing": {"iat": ABSENT},
        "iat string": {"iat": "0"},
        "nbf in the future": {"nbf": 9_999_999_999},
        "nbf list": {"nbf": [0]},
        "client_id missing": {"client_id": ABSENT},
        "client_id number": {"client_id": 1},
        "client_id empty": {"client_id": ""},
        "sub missing": {"sub": ABSENT},
        "jti number": {"jti": 7},
        "scope list": {"scope": ["customers:read"]},
        "scope number": {"scope": 1},
        "scope with a tab": {"scope": "customers:read\tbookings:read"},
        "org_id number": {"org_id": 1},
    }
    online: dict[str, dict[str, object]] = {
        "gen missing": {"gen": ABSENT},
        "gen string": {"gen": "0"},
        "gen true": {"gen": False},
        "gen ahead": {"gen": 7},
        "gen huge": {"gen": 10**40},
        "sub of another": {"sub": "m2m_00000000000000000000"},
        "org_id of another": {"org_id": "elsewhere"},
        "client that is gone": {"client_id": "m2m_00000000000000000000"},
    }
    for name, token in made.items():
        yield Case(name=name, authorization=_bearer(token), status=401, error="invalid_token")
    for marks, table in ((frozenset[str](), claims), (frozenset((ONLINE,)), online)):
        for name, changes in table.items():
            yield Case(
                name=name,
                authorization=_claims(changes),
                status=401,
                error="invalid_token",
                only=marks,
            )


def _scopes() -> Iterable[Case]:
    """A good token that lacks the scope of the request."""
    lacking = {
        "another scope": "bookings:read",
        "scopes that only look alike": "customers:readx customers:rea Customers:Read customers:*",
    }
    for name, scope in lacking.items():
        yield Case(
            name=name,
            authorization=_claims({"scope": scope}),
            status=403,
            error="insufficient_scope",
            scope="customers:read",
        )
    wanted = {
        ("GET", "/customer/1/bookings"): "bookings:read",
        ("GET", "/customer/1/booking/2"): "bookings:read",
        ("PUT", "/customer/1/profile"): "profile:write",
    }
    for (method, target), scope in wanted.items():
        yield Case(
            name=f"{method} {target} without its scope",
            authorization=_claims({"scope": "customers:read"}),
            method=method,
            target=target,
            status=403,
            error="insufficient_scope",
            scope=scope,
        )
        yield Case(
            name=f"{method} {target} with its scope alone",
            authorization=_claims({"scope": scope}),
            method=method,
            target=target,
            status=200,
        )


def _granted_paths() -> Iterable[Case]:
    for target in (
        "/customers?page=2",
        "/customers??x//y/../z",
        "/%63ustomers",
        "/customer/a%20b/bookings",
        "/customer/caf%C3%A9/bookings",
        "/customer/100%25/bookings",
        "/customer/.../bookings",
        "/customer/@me:all,a=b/bookings",
    ):
        yield Case(
            name=f"granted {target}",
            authorization=_GOOD,
            target=target,
            status=200,
            only=_GRANTS_ONLY,
        )
    yield Case(
        name="HEAD goes with GET",
        authorization=_GOOD,
        method="HEAD",
        status=200,
        only=_GRANTS_ONLY,
    )


def _paths_of_no_grant() -> Iterable[Case]:
    refused = (
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("GET", "/customers/"),
        ("GET", "/Customers"),
        ("GET", "/customer"),
        ("GET", "/customer/1"),
        ("GET", "/customer/1/bookings/2"),
        ("GET", "/customer/1/profile"),
        ("POST", "/customers"),
        ("DELETE", "/customer/1/profile"),
        ("OPTIONS", "/customers"),
        ("HEAD", "/customer/1/profile"),
        ("GET", "/invoices"),
        ("get", "/customers"),
    )
    for method, target in refused:
        yield Case(
            name=f"no grant for {method} {target}",
            authorization=_GOOD,
            method=method,
            target=target,
            status=403,
            error="insufficient_scope",
            only=_GRANTS_ONLY,
            or_status=frozenset((400, 405, 501)) if method == "get" else frozenset(),
        )


def _ambiguous_paths() -> Iterable[Case]:
    """Refused, or what `may_serve` says where a program in front has made it plain before."""
    paths: dict[str, tuple[str, str | None]] = {
        "dot segment": ("/customer/1/./bookings", "/customer/1/bookings"),
        "dot segment for a name": ("/customer/./bookings", None),
        "parent": ("/nowhere/../customers", "/customers"),
        "parent for a name": ("/customer/../bookings", None),
        "parent of the root": ("/../customers", "/customers"),
        "parent at the end": ("/customer/1/booking/..", None),
        "encoded parent": ("/customer/%2e%2E/bookings", None),
        "half encoded parent": ("/customer/.%2e/bookings", None),
        "parent after a matrix parameter": ("/customer/..;/bookings", None),
        "matrix parameter": ("/customers;v=1", None),
        "matrix parameter in a name": ("/customer/1;v=1/bookings", None),
        "encoded semicolon": ("/customer/1%3bv=1/bookings", None),
        "encoded slash": ("/customer%2f1/bookings", "/customer/1/bookings"),
        "encoded slash in a name": ("/customer/a%2Fb/bookings", None),
        "encoded slash leads away": ("/customer/a%2f..%2f..%2finvoices/bookings", None),
        "backslash": ("/customer\\1\\bookings", "/customer/1/bookings"),
        "backslash in a name": ("/customer/..\\x/bookings", None),
        "encoded backslash": ("/customer/..%5cx/bookings", None),
        "double slash": ("/customer//bookings", None),
        "double slash in front": ("//customers", "/customers"),
        "double slash at the end": ("/customers//", None),
        "double slash after a name": ("/customer/1//bookings", "/customer/1/bookings"),
        "authority": ("//evil.example/customers", "/customers"),
        "absolute form": ("http://evil.example/customers", "/customers"),
        "fragment": ("/customers#x", "/customers"),
        "fragment in the query": ("/customers?a#b", "/customers"),
        "encoded fragment": ("/customer/1%23x/bookings", None),
        "encoded question mark": ("/customer/1%3fx/bookings", None),
        "double encoding": ("/customer/%252e%252e/bookings", None),
        "double encoded letter": ("/customer/%2563/bookings", None),
        "encoded NUL": ("/customer/%00/bookings", None),
        "encoded line feed": ("/customer/1%0a/bookings", None),
        "encoded DEL": ("/customer/1%7f/bookings", None),
        "malformed escape": ("/customer/%zz/bookings", None),
        "cut escape": ("/customer/1/bookings%2", None),
        "overlong UTF-8": ("/customer/%c0%ae%c0%ae/bookings", None),
        "not UTF-8": ("/customer/%ff/bookings", None),
        "encoded surrogate": ("/customer/%ed%a0%80/bookings", None),
        "braces": ("/customer/{id}/bookings", "/customer/{id}/bookings"),
        "raw non-ASCII": ("/customer/\xc3\xa9/bookings", "/customer/é/bookings"),
        "no slash": ("customers", None),
        "asterisk": ("*", None),
        "too long": (f"/customer/{'a' * 4096}/bookings", None),
        "tab": ("/customer/1\t/bookings", None),
        "NUL": ("/customer/1\0/bookings", None),
    }
    for name, (target, may_serve) in paths.items():
        yield Case(
            name=f"ambiguous: {name}",
            authorization=_GOOD,
            target=target,
            status=403,
            error="insufficient_scope",
            only=_GRANTS_ONLY,
            may_serve=may_serve,
            or_status=_TOO_LARGE if name == "too long" else _400,
        )


def _forged_headers() -> Iterable[Case]:
    """What only proxies may say, said by the client, once and twice: it changes nothing."""
    forged = {
        "X-Hourpass-Client-Id": "m2m_00000000000000000000",
        "X_Hourpass_Client_Id": "m2m_00000000000000000000",
        "x-hourpass-scopes": "profile:write",
        "X-Hourpass-Organization": "elsewhere",
        "X-Forwarded-Uri": "/customers",
        "X_Forwarded_Uri": "/customers",
        "X-Forwarded-Method": "GET",
        "X-Original-URI": "/customers",
        "X-Original-Method": "GET",
    }
    read_only = _claims({"scope": "customers:read"})
    for name, value in forged.items():
        for times in (1, 2):
            headers = ((name, value),) * times
            yield Case(
                name=f"{name} sent {times} time(s), good request",
                authorization=_GOOD,
                headers=headers,
                status=200,
            )
            yield Case(
                name=f"{name} sent {times} time(s), other request",
                authorization=read_only,
                method="PUT",
                target="/customer/1/profile",
                headers=headers,
                status=403,
                error="insufficient_scope",
                scope="profile:write",
            )
        yield Case(
            name=f"{name} without a token",
            authorization=_values(),
            headers=((name, value),),
            status=401,
        )


CASES: tuple[Case, ...] = (
    *_good_headers(),
    *_missing_tokens(),
    *_malformed_headers(),
    *_bad_tokens(),
    *_scopes(),
    *_granted_paths(),
    *_paths_of_no_grant(),
    *_ambiguous_paths(),
    *_forged_headers(),
)
