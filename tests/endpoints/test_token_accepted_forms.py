"""The other half of threat 1: what programs in the field really send gets a token."""

import pytest
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

API = "https://api.example.com"
BOTH = "bookings:read customers:read"
EMPTY = f"{GRANT}&client_id=&client_secret="

BASIC = {
    "Basic": form_with_basic(),
    "lower case": form_with_basic(authorization=basic("<id>:<secret>", "basic")),
    "upper case": form_with_basic(authorization=basic("<id>:<secret>", "BASIC")),
    "mixed case": form_with_basic(authorization=basic("<id>:<secret>", "bAsIc")),
    "two spaces": form_with_basic(authorization=basic("<id>:<secret>", "Basic ")),
    "all of it escaped": form_with_basic(authorization=basic("<%id>:<%secret>")),
    "ID escaped": form_with_basic(authorization=basic("<%id>:<secret>")),
    "empty credentials in the body": form_with_basic(EMPTY),
    "empty secret in the body": form_with_basic(f"{GRANT}&client_secret="),
    "the same client_id in the body": form_with_basic(f"{GRANT}&client_id=<id>"),
    "the same client_id and an empty secret": form_with_basic(
        f"{GRANT}&client_id=<id>&client_secret="
    ),
}
POSTED = {
    "post": form(POST),
    "any order": form(f"client_secret=<secret>&client_id=<id>&{GRANT}"),
    "all of it escaped": form(f"{GRANT}&client_id=<%id>&client_secret=<%secret>"),
    "names escaped": form(
        "%67rant_type=client%5Fcredentials&client%5fid=<id>&client_secret=<secret>"
    ),
    "empty scope and resource": form(f"{POST}&scope=&resource="),
    "an empty parameter twice": form(f"{POST}&scope=&scope="),
    "an empty parameter beside a full one": form(f"{POST}&client_secret="),
    "ampersands": form(f"&&{POST}&&"),
    "99 unknown parameters": form(f"{POST}{'&x=y' * 97}"),
}
JSONS = {
    "JSON": json_of(MEMBERS),
    "JSON with grant_type": json_of(f'{MEMBERS},"grant_type":"client_credentials"'),
    "JSON nulls": json_of(f'{MEMBERS},"scope":null,"resource":null,"grant_type":null'),
    "JSON empty": json_of(f'{MEMBERS},"scope":"","resource":"","grant_type":""'),
    "JSON white space": json_document("\r\n\t {\n" + MEMBERS.replace(",", " ,\n") + "\n}\n"),
    "JSON escapes": json_of(MEMBERS.replace("client_id", "client\\u005fid")),
    "JSON unknown members": json_of(f'{MEMBERS},"x":{{"y":[1,2.5e3,null]}},"client-id":"x"'),
    "JSON in any script": json_of(f'{MEMBERS},"x":"é😀\\ud83d\\ude00"'),
}
UNKNOWN = {
    "unknown": form(f"{POST}&audience={API}&x=y"),
    "unknown twice": form(f"{POST}&x=y&x=z"),
    "without a name": form(f"{POST}&=&=x&x"),
    "other case": form(f"{POST}&SCOPE=nobody:knows"),
    "in any script": form(f"{POST}&x=é&%C3%A9=%E9"),
    "in the query": Template(POST, target="/token?x=y&tenant=1&%"),
}
CONTENT_TYPES = {
    content_type: Template(POST, content_type)
    for content_type in (
        *(f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8", f"{FORM}; charset=ISO-8859-1"),
        *("Application/X-WWW-Form-URLEncoded", f"{FORM} ; x=y", f"{FORM};"),
    )
} | {
    content_type: Template("{" + MEMBERS + "}", content_type)
    for content_type in (f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-8", "APPLICATION/JSON")
}
ACCEPTS = {
    f"Accept {accept}": form(POST, ("Accept", accept))
    for accept in ("*/*", "application/json", "text/html", "application/xml", "text/*;q=0", "???")
} | {"Accept twice": form(POST, ("Accept", "text/html"), ("Accept", "image/png"))}
HEADERS = {
    "Origin": form(POST, ("Origin", "https://attacker.example")),
    "no compression": form(POST, ("Accept-Encoding", "identity")),
    "long but bounded": form(POST, ("X-Long", "x" * 6000)),
    "in Latin-1": form(POST, ("X-Name", "é")),
}
TARGETED = {
    "raw space": form(f"{POST}&scope=customers:read bookings:read"),
    "plus": form(f"{POST}&scope=customers:read+bookings:read"),
    "%20": form(f"{POST}&scope=customers%3Aread%20bookings%3aread"),
    "a name twice": form(f"{POST}&scope=customers:read bookings:read customers:read"),
    "JSON": json_of(f'{MEMBERS},"scope":"bookings:read customers:read"'),
    "resource": form(f"{POST}&resource={API}"),
    "resource escaped": form(f"{POST}&resource=https%3A%2F%2Fapi.example.com"),
    "resource twice the same": form(f"{POST}&resource={API}&resource={API}"),
    "resource twice, one empty": form(f"{POST}&resource=&resource={API}"),
    "JSON resource": json_of(f'{MEMBERS},"resource":"{API}"'),
}
FORMS = {**BASIC, **POSTED, **JSONS, **UNKNOWN, **CONTENT_TYPES, **ACCEPTS, **HEADERS}


@pytest.fixture(scope="module")
def credentials(shared_server: Server) -> Credentials:
    """A client of one API."""
    return shared_server.installation.create_client("customers:read", "bookings:read")


@pytest.mark.spec("contract", "HTTP", "What programs in the field turned out to need")
@pytest.mark.spec("threats", "1", "An empty parameter is an absent one; unknown ones are ignored.")
@pytest.mark.parametrize("template", FORMS.values(), ids=FORMS.keys())
def test_what_programs_in_the_field_send_gets_a_token(
    shared_server: Server, credentials: Credentials, template: Template
) -> None:
    """The same JSON for each of them."""
    answer = template.send(shared_server, credentials)

    token_in(answer)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["scope"] == BOTH


@pytest.mark.spec("contract", "HTTP", "A raw space in a form value is fine.")
@pytest.mark.spec("RFC 8707", "2", "resource may be there more than once")
@pytest.mark.parametrize("template", TARGETED.values(), ids=TARGETED.keys())
def test_scope_and_resource_are_read_in_every_spelling(
    shared_server: Server, credentials: Credentials, template: Template
) -> None:
    """Spaces raw or escaped, a form or JSON."""
    answer = template.send(shared_server, credentials)

    token_in(answer)
    assert answer.json()["scope"] == BOTH


@pytest.mark.spec("contract", "HTTP", "Go's client tries Basic, then the body")
def test_one_bad_secret_tried_in_two_ways_locks_nobody_out(
    shared_server: Server, credentials: Credentials
) -> None:
    """Fifty failures later the right secret still works."""
    wrong = Credentials(credentials.client_id, credentials.secret[:-1] + "!")
    for _ in range(25):
        refused(form_with_basic().send(shared_server, wrong), 401, "invalid_client")
        refused(form(POST).send(shared_server, wrong), 401, "invalid_client")

    token_in(form_with_basic().send(shared_server, credentials))
