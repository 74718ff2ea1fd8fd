"""What an answer of the token endpoint means; nothing in it is trusted."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.client import (
    BadAnswer,
    ClientExpired,
    ClientSuspended,
    OrganizationSuspended,
    ScopeNotGranted,
    ServerUnavailable,
    TokenError,
    TokenRefused,
    WrongCredentials,
)
from hourpass.client.answer import Granted, read_answer, retry_after
from hourpass.fetch import Answer
from support.token_server import SECRET, grant_of

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
WHERE = "https://auth.example.com/token"


def read(status: int, body: object, **headers: str) -> Granted:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status=status, headers=headers, body=octets)
    return read_answer(answer, where=WHERE, scope="a:read", now=NOW)


@pytest.mark.spec("RFC 6749", "5.1", "access_token, token_type, expires_in, scope")
def test_a_token_is_read() -> None:
    got = read(200, {**grant_of("abc.def-_~+/=="), "token_type": "bearer", "more": [1]})

    assert got == Granted(access_token="abc.def-_~+/==", expires_in=3600, scope="customers:read")
    assert "abc" not in repr(got)


@pytest.mark.spec("contract", "HTTP", "programs read `reason`, nobody parses the description")
@pytest.mark.parametrize(
    ("error", "reason", "kind"),
    [
        ("invalid_client", None, WrongCredentials),
        ("invalid_client", "suspended", ClientSuspended),
        ("invalid_client", "expired", ClientExpired),
        ("invalid_client", "organization_suspended", OrganizationSuspended),
        ("invalid_client", "leaked", TokenRefused),
        ("invalid_scope", None, ScopeNotGranted),
        ("invalid_target", None, TokenRefused),
        ("unheard_of", None, TokenRefused),
    ],
)
def test_refusals_are_told_apart_by_error_and_reason(
    error: str, reason: str | None, kind: type[TokenError]
) -> None:
    """Whatever the description says."""
    body = {"error": error, "error_description": "suspended expired invalid_scope"}
    with pytest.raises(TokenError) as caught:
        read(401, body if reason is None else {**body, "reason": reason})

    assert type(caught.value) is kind
    assert (caught.value.error, caught.value.reason) == (error, reason)
    assert len(str(caught.value).splitlines()) == 1


def test_scopes_with_a_comma_between_them_are_told_so() -> None:
    """As other tools take them."""
    body = json.dumps({"error": "invalid_scope"}).encode()
    with pytest.raises(ScopeNotGranted, match="there is a space, and no comma"):
        read_answer(
            Answer(status=400, headers={}, body=body), where=WHERE, scope="a:read,b:read", now=NOW
        )


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_who_may_be_asked_again(status: int) -> None:
    """With or without JSON."""
    for body in (b"<h1>no</h1>", json.dumps({"error": "temporarily_unavailable"}).encode()):
        with pytest.raises(ServerUnavailable) as caught:
            read(status, body, **{"Retry-After": "7"})
        assert (caught.value.status, caught.value.retry_after_s) == (status, 7)


BAD_ANSWERS: dict[str, tuple[int, object]] = {
    "not JSON": (200, b"<h1>It works</h1>"),
    "empty": (200, b""),
    "another address of the server": (404, {"error": "not_found"}),
    "not UTF-8": (200, b"\xff\xfe\x00"),
    "deep": (200, b"[" * 60_000),
    "an array": (200, [grant_of("t")]),
    "no access_token": (200, {**grant_of("t"), "access_token": None}),
    "access_token a number": (200, {**grant_of("t"), "access_token": 7}),
    "access_token empty": (200, grant_of("")),
    "access_token with a line break": (200, grant_of("t\r\nX: y")),
    "access_token not ASCII": (200, grant_of("tökén")),
    "access_token huge": (200, grant_of("t" * 20_000)),
    "no token_type": (200, {**grant_of("t"), "token_type": None}),
    "another token_type": (200, {**grant_of("t"), "token_type": "mac"}),
    "no expires_in": (200, {"access_token": "t", "token_type": "Bearer"}),
    "expires_in zero": (200, grant_of("t", 0)),
    "expires_in negative": (200, grant_of("t", -1)),
    "expires_in huge": (200, grant_of("t", 10**30)),
    "expires_in a float": (200, grant_of("t", 3600.0)),
    "expires_in infinite": (200, b'{"access_token":"t","token_type":"Bearer","expires_in":1e999}'),
    "expires_in true": (200, grant_of("t", True)),
    "expires_in a text": (200, grant_of("t", "3600")),
    "a scope that is no text": (200, {**grant_of("t"), "scope": ["a"]}),
    "created": (201, grant_of("t")),
    "no content": (204, b""),
    "redirect": (302, b""),
    "permanent redirect": (308, grant_of("t")),
    "not found": (404, b"no such page"),
    "an error that is no code": (400, {"error": SECRET}),
    "an error that is no text": (400, {"error": {"code": 7}}),
}


@pytest.mark.parametrize(("status", "body"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_broken_answer_is_no_token(status: int, body: object) -> None:
    """One line that says what to do, and nothing of the body."""
    with pytest.raises(BadAnswer) as caught:
        read(status, body)

    text = str(caught.value)
    assert WHERE in text
    assert ": " in text
    assert SECRET not in text + repr(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["access_token", "token_type", "expires_in", "scope", "error", "reason", "x"]
)


@given(
    st.integers(100, 999),
    st.binary(max_size=50) | st.dictionaries(NAMES, JSON | st.just("Bearer")).map(json.dumps),
    st.dictionaries(st.sampled_from(["Retry-After", "Date"]), st.text(max_size=40)),
)
def test_whatever_comes_is_a_token_or_a_typed_error(
    status: int, body: bytes | str, headers: dict[str, str]
) -> None:
    octets = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    try:
        got = read(status, octets, **headers)
    except TokenError as error:
        assert str(error).isprintable()
    else:
        assert got.expires_in > 0


def seconds(value: str, **headers: str) -> float | None:
    return retry_after({"Retry-After": value, **headers}, NOW)


@pytest.mark.spec("RFC 9110", "10.2.3", "Retry-After is a number of seconds or a date")
def test_retry_after_is_read_in_both_forms_and_bounded() -> None:
    in_a_minute = format_datetime(NOW + timedelta(minutes=1), usegmt=True)
    a_day_ago = format_datetime(NOW - timedelta(days=1), usegmt=True)

    assert seconds("7") == 7
    assert seconds(" 0 ") == 0
    assert seconds("86400") == 300
    assert seconds(in_a_minute) == 60
    assert seconds(a_day_ago) == 0
    assert seconds("Fri, 31 Dec 9999 23:59:59 GMT") == 300
    assert retry_after({}, NOW) is None


def test_a_retry_after_date_is_counted_from_the_servers_own_clock() -> None:
    """Ours may be a day off."""
    their_now = NOW + timedelta(days=1)
    until = format_datetime(their_now + timedelta(seconds=20), usegmt=True)

    assert seconds(until, Date=format_datetime(their_now, usegmt=True)) == 20


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "٣", "1" * 500, "", "Fri, 99 Foo 2026"])
def test_a_retry_after_that_is_none_says_nothing(value: str) -> None:
    assert seconds(value) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_retry_after_is_a_bounded_number_or_none(value: str, date: str) -> None:
    found: Any = seconds(value, Date=date)

    assert found is None or 0 <= found <= 300
