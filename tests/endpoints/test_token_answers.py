"""What the token endpoint says, to the byte: threats 4, 5 and 6."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count

import client_states
import httpx
import pytest
from request_templates import GRANT, MEMBERS, POST, Template, form, form_with_basic, json_of
from token_answers import refused, token_in

from hourpass.oauth import secret_format
from support.installation import Credentials, Installation, Server

METHODS = {
    "client_secret_basic": form_with_basic(),
    "client_secret_post": form(POST),
    "JSON": json_of(MEMBERS),
}
_organizations = count(1)


@pytest.fixture
def installation(shared_server: Server) -> Installation:
    """The one that the shared server runs on."""
    return shared_server.installation


@pytest.fixture
def credentials(installation: Installation) -> Credentials:
    """A fresh client."""
    return installation.create_client("customers:read", "bookings:read")


@pytest.mark.spec("contract", "HTTP", "A token answer is exactly 200, application/json")
@pytest.mark.spec("RFC 6749", "5.1", "Cache-Control: no-store and Pragma: no-cache")
@pytest.mark.parametrize("template", METHODS.values(), ids=METHODS.keys())
def test_a_token_answer_is_exact(
    shared_server: Server, credentials: Credentials, template: Template
) -> None:
    """Four members, none null, and the headers that keep it out of caches."""
    answer = template.send(shared_server, credentials)

    assert answer.status_code == 200
    assert dict(answer.headers) == {
        "content-type": "application/json",
        "content-length": str(len(answer.content)),
        "cache-control": "no-store",
        "pragma": "no-cache",
        "x-content-type-options": "nosniff",
        "x-request-id": answer.headers["x-request-id"],
        **({"date": answer.headers["date"]} if "date" in answer.headers else {}),
    }
    members = answer.json()
    assert list(members) == ["access_token", "token_type", "expires_in", "scope"]
    assert members["token_type"] == "Bearer"
    assert members["scope"] == "bookings:read customers:read"
    assert type(members["expires_in"]) is int
    assert b'"expires_in":3600,' in answer.content
    assert members["access_token"].count(".") == 2


@pytest.mark.spec("threats", "6", "no CORS on token, admin or API routes")
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET"])
def test_no_browser_is_let_in(shared_server: Server, credentials: Credentials, method: str) -> None:
    """Neither on answers nor on preflights."""
    headers = (
        *(("Origin", "https://attacker.example"), ("Access-Control-Request-Method", "POST")),
        ("Access-Control-Request-Headers", "authorization"),
    )

    answer = Template(POST, method=method, headers=headers).send(shared_server, credentials)

    assert answer.is_success == (method == "POST")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "set-cookie" not in answer.headers


def spoilt(installation: Installation, good: Credentials) -> dict[str, Credentials]:
    """Credentials that prove nothing, each for another reason."""
    secret = good.secret
    digest = client_states.stored_digest(installation, good)
    in_form = secret_format.PREFIX + _base62(int.from_bytes(digest, "big"))
    gone = installation.create_client("customers:read")
    client_states.delete(installation, gone)
    old = installation.create_client("customers:read")
    client_states.rotate(installation, old)
    secrets = {
        "wrong": secret_format.generate(),
        "of another client": installation.create_client("customers:read").secret,
        "truncated": secret[:-1],
        "one character more": secret + "0",
        "blank at the end": secret + " ",
        "NUL at the end": secret + "\x00",
        "last character differs": secret[:-1] + ("0" if secret[-1] != "0" else "1"),
        "other letter case": secret.swapcase(),
        "without prefix": secret.removeprefix("hps_"),
        "twice": secret + secret,
        "all zeros": "hps_" + 43 * "0" + "2jdc8S",
        "digest in hex": digest.hex(),
        "digest as a secret": in_form + secret_format.checksum(in_form),
        "anything": "guess",
        "very long": secret * 100,
    }
    return {
        **{name: replace(good, secret=text) for name, text in secrets.items()},
        "unknown client": replace(good, client_id="m2m_" + 20 * "0"),
        "malformed client": replace(good, client_id="nobody"),
        "client_id and more": replace(good, client_id=good.client_id + "0"),
        "client_id of other case": replace(good, client_id=good.client_id.upper()),
        "SQL": replace(good, client_id="' or '1'='1"),
        "deleted client": gone,
        "rotated away": old,
    }


def _base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, digit = divmod(number, 62)
        text = digits[digit] + text
    return text.rjust(43, "0")


def alike(answers: Iterable[httpx.Response]) -> set[tuple[object, ...]]:
    """The different answers there are; only the request's ID and the date may differ."""
    return {
        (
            answer.status_code,
            answer.content,
            tuple(
                (name, "" if name in ("x-request-id", "date") else value)
                for name, value in answer.headers.multi_items()
            ),
        )
        for answer in answers
    }


@pytest.mark.spec("contract", "HTTP", "Whoever does not prove the secret gets the same bytes.")
@pytest.mark.spec("threats", "4", "Secrets compare whole; the stored hash is not accepted.")
def test_whoever_proves_nothing_learns_nothing(
    shared_server: Server, installation: Installation, credentials: Credentials
) -> None:
    """One answer, whatever was wrong and however it was sent; the same header names too."""
    wrongs = spoilt(installation, credentials)
    empty = form(f"{GRANT}&client_id=<id>")

    answers = {
        (name, method): template.send(shared_server, wrong)
        for name, wrong in wrongs.items()
        for method, template in {**METHODS, "no secret": empty}.items()
        if not (method == "JSON" and "\x00" in wrong.secret)
    }

    for answer in answers.values():
        refused(answer, 401, "invalid_client")
    assert len(alike(answers.values())) == 1
    token_in(METHODS["JSON"].send(shared_server, credentials))


def suspended_organization(installation: Installation) -> Credentials:
    """A client of an organization that is suspended."""
    name = client_states.new_organization(installation, f"tenant-{next(_organizations)}")
    credentials = installation.create_client("customers:read", organization=name)
    client_states.suspend_organization(installation, name)
    return credentials


def after(
    deed: Callable[[Installation, Credentials], None],
) -> Callable[[Installation], Credentials]:
    """Makes a client to which this was done."""

    def made(installation: Installation) -> Credentials:
        credentials = installation.create_client("customers:read")
        deed(installation, credentials)
        return credentials

    return made


def suspend_and_expire(installation: Installation, credentials: Credentials) -> None:
    """Both: what cannot be undone is what is said."""
    client_states.suspend(installation, credentials)
    client_states.expire(installation, credentials)


BARRED = {
    "suspended": (after(client_states.suspend), "suspended"),
    "expired": (after(client_states.expire), "expired"),
    "suspended and expired": (after(suspend_and_expire), "expired"),
    "organization suspended": (suspended_organization, "organization_suspended"),
}
barred = pytest.mark.parametrize(("make", "reason"), BARRED.values(), ids=BARRED.keys())


@barred
@pytest.mark.spec("contract", "HTTP", 'Whoever proves the right secret gets a member "reason".')
@pytest.mark.parametrize("template", METHODS.values(), ids=METHODS.keys())
def test_whoever_proves_the_secret_is_told_why_there_is_no_token(
    shared_server: Server,
    installation: Installation,
    make: Callable[[Installation], Credentials],
    reason: str,
    template: Template,
) -> None:
    """By every authentication method, in a member that programs can read."""
    answer = template.send(shared_server, make(installation))

    members = refused(answer, 401, "invalid_client")
    assert members.keys() == {"error", "error_description", "reason"}
    assert members["reason"] == reason
    assert members["error_description"] != "client authentication failed"


@barred
@pytest.mark.spec("contract", "HTTP", "The reason is for whoever proves the right secret.")
def test_a_wrong_secret_does_not_show_the_state_of_a_client(
    shared_server: Server,
    installation: Installation,
    make: Callable[[Installation], Credentials],
    reason: str,
) -> None:
    """The plain answer, as for a client that does not exist."""
    guess = replace(make(installation), secret=secret_format.generate())
    nobody = Credentials("m2m_" + 20 * "0", secret_format.generate())

    answers = [form(POST).send(shared_server, each) for each in (guess, nobody)]

    assert len(alike(answers)) == 1
    assert reason not in answers[0].text


@pytest.mark.spec("threats", "6", "nothing of the input echoed")
@pytest.mark.parametrize(
    "template",
    [
        form("grant_type=M4RK&client_id=<id>&client_secret=<secret>"),
        form(f"{GRANT}&client_id=M4RK&client_secret=<secret>"),
        form(f"{GRANT}&client_id=<id>&client_secret=M4RK"),
        form(f"{POST}&M4RK=M4RK&resource=M4RK"),
        form(f"{POST}&scope=M4RK  M4RK"),
        form(f"{POST}&M4RK=%"),
        json_of('"M4RK":"M4RK","M4RK":1'),
        json_of('"client_id":["M4RK"]'),
        Template(POST, content_type="M4RK"),
        Template(POST, target="/token?client_id=M4RK"),
        Template(POST, method="M4RK"),
        Template(POST, target="/M4RK"),
    ],
    ids=lambda template: repr((template.body, template.content_type, template.target)),
)
def test_nothing_of_the_request_comes_back(
    shared_server: Server, credentials: Credentials, template: Template
) -> None:
    """Neither in the body nor in a header."""
    answer = template.send(shared_server, credentials)

    assert 400 <= answer.status_code < 500
    assert "M4RK" not in answer.text
    assert not [value for value in answer.headers.values() if "M4RK" in value]


def test_a_missing_scope_is_named_to_the_client_and_to_nobody_else(
    shared_server: Server, credentials: Credentials
) -> None:
    """The integrator is told which one; whoever has no secret is not."""
    lacking = form(f"{POST}&scope=customers:read invoices:read")

    told = lacking.send(shared_server, credentials)
    untold = lacking.send(shared_server, replace(credentials, secret=secret_format.generate()))

    assert "invoices:read" in refused(told, 400, "invalid_scope")["error_description"]
    assert "invoices" not in json.dumps(refused(untold, 401, "invalid_client"))


def test_every_answer_has_a_request_id_of_its_own(
    shared_server: Server, credentials: Credentials
) -> None:
    """Also the refused ones, and never the caller's."""
    answers = [
        template.send(shared_server, credentials)
        for template in (form(POST), form(""), Template(method="GET"), form(POST))
    ]
    mine = form(POST, ("X-Request-ID", "chosen")).send(shared_server, credentials)

    found = {answer.headers["x-request-id"] for answer in [*answers, mine]}
    assert len(found) == 5
    assert "chosen" not in found
