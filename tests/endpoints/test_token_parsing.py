"""Threat 1: parsing is strict and total. Every malformed request carries good credentials, so
that what is refused is the form of the request and nothing else."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from request_templates import (
    FORM,
    GRANT,
    JSON,
    MEMBERS,
    POST,
    Template,
    basic,
    form,
    form_with_basic,
    json_document,
    json_of,
)
from token_answers import refused, token_in

from support.installation import Credentials, Server

INVALID_REQUEST = (400, "invalid_request")
INVALID_TARGET = (400, "invalid_target")
INVALID_CLIENT = (401, "invalid_client")
OTHER_GRANT = (400, "unsupported_grant_type")
OTHER_TYPE = (415, "invalid_request")
OTHER_METHOD = (405, "invalid_request")
API = "https://api.example.com"

REPEATED = {
    "grant_type": form(f"{POST}&{GRANT}"),
    "client_id": form(f"{POST}&client_id=<id>"),
    "client_secret": form(f"{POST}&client_secret=<secret>"),
    "scope": form(f"{POST}&scope=customers:read&scope=customers:read"),
    "escaped name": form(f"{POST}&client%5Fid=<id>"),
    "JSON client_id": json_of(f'{MEMBERS},"client_id":"<id>"'),
    "JSON client_secret": json_of(f'{MEMBERS},"client_secret":"<secret>"'),
    "JSON scope": json_of(f'{MEMBERS},"scope":"customers:read","scope":"customers:read"'),
    "JSON resource": json_of(f'{MEMBERS},"resource":"{API}","resource":"{API}"'),
    "JSON null": json_of(f'{MEMBERS},"scope":null,"scope":null'),
    "JSON unknown": json_of(f'{MEMBERS},"x":1,"x":1'),
    "JSON escaped name": json_of(f'{MEMBERS},"client\\u005fid":"<id>"'),
    "JSON within an unknown member": json_of(f'{MEMBERS},"x":{{"y":1,"y":2}}'),
}
TWO_PLACES = {
    "Basic and secret": form_with_basic(f"{GRANT}&client_secret=<secret>"),
    "Basic and all": form_with_basic(POST),
    "Basic and other client_id": form_with_basic(f"{GRANT}&client_id=m2m_{20 * '0'}"),
    "Basic and client_id of other case": form_with_basic(f"{GRANT}&client_id=M2M_<id>"),
    "Basic and JSON": json_of(MEMBERS, ("Authorization", "<basic>")),
    "Basic and JSON without credentials": json_of("", ("Authorization", "<basic>")),
    "Bearer and JSON": json_of(MEMBERS, ("Authorization", "Bearer abc")),
    "Bearer and form": form(POST, ("Authorization", "Bearer abc")),
    "two headers": form(GRANT, ("Authorization", "<basic>"), ("Authorization", "<basic>")),
    "query, all": Template(target="/token?client_id=<id>&client_secret=<secret>&" + GRANT),
    "query, secret": Template(f"{GRANT}&client_id=<id>", target="/token?client_secret=<secret>"),
    "query, client_id": Template(POST, target="/token?client_id=<id>"),
    "query, grant_type": Template(POST, target=f"/token?{GRANT}"),
    "query, scope": Template(POST, target="/token?scope=customers:read"),
    "query, resource": Template(POST, target=f"/token?resource={API}"),
    "query, empty": Template(POST, target="/token?client_secret"),
    "query, escaped name": Template(POST, target="/token?x=y&client%5fsecret=<secret>"),
    "query beside JSON": Template(
        "{" + MEMBERS + "}", JSON, target="/token?client_secret=<secret>"
    ),
}
NOT_A_FORM = {
    "empty": form(""),
    "escape cut off": form(f"{POST}&scope=%"),
    "escape cut short": form(f"{POST}&scope=%2"),
    "escape of no digits": form(f"{POST}&scope=%zz"),
    "escape in a name": form(f"{POST}&sco%pe=x"),
    "escape in an unknown parameter": form(f"{POST}&x=100%"),
    "octets that are no UTF-8": form(POST.encode() + b"&x=\xff\xfe"),
    "too many parameters": form(POST + "&x=y" * 98),
    "JSON in a form": form("{" + MEMBERS + "}"),
    "no grant_type": form("client_id=<id>&client_secret=<secret>"),
    "grant_type empty": form("grant_type=&client_id=<id>&client_secret=<secret>"),
    "no grant_type beside Basic": form_with_basic("scope=customers:read"),
}
NOT_AN_OBJECT = {
    "empty": json_document(""),
    "blank": json_document(" "),
    "list": json_document('["<id>","<secret>"]'),
    "list of the object": json_document("[{" + MEMBERS + "}]"),
    "string": json_document('"<secret>"'),
    "number": json_document("1"),
    "null": json_document("null"),
    "true": json_document("true"),
    "form in JSON": json_document(POST),
    "cut off": json_document("{" + MEMBERS),
    "garbage after": json_document("{" + MEMBERS + "}}"),
    "two objects": json_document("{" + MEMBERS + "}{}"),
    "comma at the end": json_of(MEMBERS + ","),
    "comment": json_of(MEMBERS + "/* */"),
    "single quotes": json_of(MEMBERS.replace('"', "'")),
    "byte order mark": json_document("\ufeff{" + MEMBERS + "}"),
    "UTF-16": json_document(("{" + MEMBERS + "}").encode("utf-16")),
    "octets that are no UTF-8": json_document(b'{"x":"\xff",' + MEMBERS.encode() + b"}"),
    "raw control character": json_of(MEMBERS + ',"x":"\x00"'),
    "NaN": json_of(MEMBERS + ',"x":NaN'),
    "Infinity": json_of(MEMBERS + ',"x":Infinity'),
    "-Infinity": json_of(MEMBERS + ',"x":[-Infinity]'),
    "endless number": json_of(MEMBERS + ',"x":' + "1" * 10_000),
    "deep list": json_document("[" * 16_000),
    "deep object": json_document('{"x":' * 3_000),
    "deep unknown member": json_of(MEMBERS + ',"x":' + "[" * 7_500 + "]" * 7_500),
    "lone surrogate in the secret": json_of('"client_id":"<id>","client_secret":"<secret>\\ud800"'),
    "lone surrogate in scope": json_of(MEMBERS + ',"scope":"\\udfff"'),
    "lone surrogate in an unknown member": json_of(MEMBERS + ',"x":["\\ud800"]'),
    "lone surrogate in a name": json_of(MEMBERS + ',"\\ud800":1'),
}
OTHER_JSON_TYPES = {
    f"{name}: {value}": json_of(members + f'"{name}":{value}')
    for name, members in {
        "client_id": '"client_secret":"<secret>",',
        "client_secret": '"client_id":"<id>",',
        "scope": MEMBERS + ",",
        "resource": MEMBERS + ",",
        "grant_type": MEMBERS + ",",
    }.items()
    for value in ("1", "1.5", "true", "false", "[]", '["a"]', "{}", '{"a":"b"}')
}
BAD_AUTHORIZATION = {
    repr(value): form_with_basic(authorization=value)
    for value in (
        *("", "Basic", "basic", "Basic !!!!", "Basic abc", "Basic =", "Basic %20", "Basic YTpi="),
        *("<basic>, <basic>", "<basic> <basic>", "<basic>=", "<basic>\tx", "Basic <secret>"),
        *("Bearer <secret>", "Digest <secret>", "Negotiate", "Basic<id>:<secret>", "<id>:<secret>"),
    )
} | {
    f"pair {pair!r}": form_with_basic(authorization=basic(pair))
    for pair in (
        *(
            ":",
            "no colon",
            "no:body",
            "<id>",
            "<id>:",
            ":<secret>",
            "<secret>:<id>",
            "<id>:<secret>:",
        ),
        *("<id>:%", "%:<secret>", "<id>%2:<secret>", "<id>:<secret>%zz", "<id> :<secret>"),
        *("<id>:+<secret>", "<id>:<secret>%00", "<id>\x00:<secret>", "\r\n<id>:<secret>", "::::"),
        *(b"\xff\xfe:\xff", "<id>:<secret>é", "é:é".encode("latin-1"), b"<id>:<secret>\xe9"),
    )
}
OTHER_GRANTS = {
    grant: form(POST.replace("client_credentials", grant))
    for grant in (
        *("password", "authorization_code", "refresh_token", "implicit", "none", "*"),
        *("CLIENT_CREDENTIALS", "client_credentials+", "+client_credentials", "client_credential"),
        *("urn:ietf:params:oauth:grant-type:jwt-bearer", "%00", "client_credentials;x=y"),
    )
} | {"JSON": json_of(MEMBERS + ',"grant_type":"password"')}
OTHER_TYPES = {
    str(content_type): Template(POST, content_type)
    for content_type in (
        *(None, "", ";", "text/plain", "text/html", "application/xml", "multipart/form-data"),
        *("application/x-www-form-urlencode", "application/*", "*/*", "application"),
        *("application/x-www-form-urlencoded, application/json", "x application/json"),
        *("application/json+x", "application/jsonp", "application/problem+json", f"{JSON}, {JSON}"),
    )
} | {
    "given twice": Template(POST, FORM, (("Content-Type", FORM),)),
    "text/plain JSON": Template("{" + MEMBERS + "}", "text/plain"),
    "multipart": Template(
        b'--x\r\nContent-Disposition: form-data; name="client_id"\r\n\r\n<id>\r\n--x--',
        "multipart/form-data; boundary=x",
    ),
}
OTHER_METHODS = {
    method: Template(POST, method=method)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "PROPFIND")
} | {
    "GET, query": Template(
        method="GET", target="/token?client_id=<id>&client_secret=<secret>&" + GRANT
    ),
    "GET, Basic": Template(method="GET", headers=(("Authorization", "<basic>"),)),
}
NO_CREDENTIALS = {
    "none": form(GRANT),
    "no secret": form(f"{GRANT}&client_id=<id>"),
    "no client_id": form(f"{GRANT}&client_secret=<secret>"),
    "secret empty": form(f"{GRANT}&client_id=<id>&client_secret="),
    "client_id empty": form(f"{GRANT}&client_id=&client_secret=<secret>"),
    "parameters of other case": form(f"{GRANT}&Client_Id=<id>&CLIENT_SECRET=<secret>"),
    "JSON empty": json_of(""),
    "JSON without secret": json_of('"client_id":"<id>"'),
    "JSON null secret": json_of('"client_id":"<id>","client_secret":null'),
    "JSON null client_id": json_of('"client_id":null,"client_secret":"<secret>"'),
    "JSON empty secret": json_of('"client_id":"<id>","client_secret":""'),
    "JSON nested": json_of('"x":{' + MEMBERS + "}"),
    "JSON NUL after the client_id": json_of(MEMBERS.replace("<id>", "<id>\\u0000")),
    "other letter case": form(POST.replace("<id>", "M2M_<id>")),
}
OTHER_RESOURCES = {
    "two": form(f"{POST}&resource={API}&resource=https://billing.example.com"),
    "two, one unknown": form(f"{POST}&resource={API}&resource=https://nobody.example"),
    "unknown": form(f"{POST}&resource=https://nobody.example"),
    "not a URL": form(f"{POST}&resource=%00"),
    "JSON unknown": json_of(f'{MEMBERS},"resource":"https://nobody.example"'),
}

TABLE: dict[str, tuple[Mapping[str, Template], tuple[int, str]]] = {
    "repeated": (REPEATED, INVALID_REQUEST),
    "two places": (TWO_PLACES, INVALID_REQUEST),
    "not a form": (NOT_A_FORM, INVALID_REQUEST),
    "not an object": (NOT_AN_OBJECT, INVALID_REQUEST),
    "type of": (OTHER_JSON_TYPES, INVALID_REQUEST),
    "Authorization": (BAD_AUTHORIZATION, INVALID_CLIENT),
    "no credentials": (NO_CREDENTIALS, INVALID_CLIENT),
    "grant": (OTHER_GRANTS, OTHER_GRANT),
    "content type": (OTHER_TYPES, OTHER_TYPE),
    "method": (OTHER_METHODS, OTHER_METHOD),
    "resource": (OTHER_RESOURCES, INVALID_TARGET),
}


@pytest.fixture(scope="module")
def credentials(shared_server: Server) -> Credentials:
    """A client whose credentials are good."""
    return shared_server.installation.create_client("customers:read", "invoices:read")


@pytest.mark.spec("threats", "1", "Parsing is strict and total: never a 500 and never a token.")
@pytest.mark.spec("RFC 6749", "5.2", "the error code and description are members of a JSON object")
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(template, expected, id=f"{kind}: {name}")
        for kind, (templates, expected) in TABLE.items()
        for name, template in templates.items()
    ],
)
def test_a_malformed_request_is_refused_in_the_words_of_the_standard(
    shared_server: Server,
    credentials: Credentials,
    template: Template,
    expected: tuple[int, str],
) -> None:
    """The right status and code, and never the secret in the answer."""
    answer = template.send(shared_server, credentials)

    refused(answer, *expected)
    assert credentials.secret not in answer.text
    assert credentials.client_id not in answer.text
    if expected == OTHER_METHOD:
        assert answer.headers["allow"] == "POST"


def test_all_that_left_the_server_as_it_was(
    shared_server: Server, credentials: Credentials
) -> None:
    """Two failures or two hundred: nobody is locked out."""
    for templates, _ in TABLE.values():
        next(iter(templates.values())).send(shared_server, credentials)

    token_in(form(POST).send(shared_server, credentials))


@pytest.mark.spec("threats", "1", "never a 500 and never a token")
@given(
    body=st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                *'{}[]":,&=+%;\\ \x00é',
                "null",
                "client_id",
                "client_secret",
                "scope",
                GRANT,
                "\\ud800",
            ]
        ),
        max_size=40,
    ).map("".join),
    content_type=st.sampled_from([FORM, JSON, "text/plain"]),
    authorization=st.none() | st.binary(min_size=1, max_size=60).map(basic) | st.just("Basic"),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_octets_get_a_refusal(
    shared_server: Server,
    credentials: Credentials,
    body: str | bytes,
    content_type: str,
    authorization: str | None,
) -> None:
    """Whatever the body and the header hold."""
    headers = () if authorization is None else (("Authorization", authorization),)

    answer = Template(body, content_type, headers).send(shared_server, credentials)

    assert answer.status_code in (400, 401, 415)
    refused(answer, answer.status_code, answer.json()["error"])
