"""Bearer credentials and refusals on the wire (RFC 6750)."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.bearer import MissingToken, answer, bearer_token, challenge
from hourpass.oauth.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError
from hourpass.resource_server import KeysUnavailable

REALM = "https://api.example.com"
PARAMETER = r'[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"'


@pytest.mark.spec("RFC 6750", "2.1", "credentials = Bearer 1*SP b64token")
@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc", "abc"),
        ("  Bearer abc \t", "abc"),
        ("Bearer aZ09-._~+/==", "aZ09-._~+/=="),
    ],
)
def test_a_bearer_token_is_taken_from_its_header(header: str, token: str) -> None:
    """The scheme has no case; one space or more; the grammar's whole alphabet."""
    assert bearer_token([header]) == token


@pytest.mark.parametrize("header", ["", " ", "Basic YTpi", "Digest x", "Bearerabc", "abc", "é"])
def test_other_credentials_are_no_token(header: str) -> None:
    """They may be meant for someone else: the caller is told which scheme is wanted."""
    with pytest.raises(MissingToken):
        bearer_token([header])


@pytest.mark.parametrize(
    "header",
    [
        *("Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer a=b", "Bearer é"),
        *(
            'Bearer "a"',
            "Bearer a\tb",
            "Bearer a\n",
            "Bearer\ta",
            "Bearer a, Bearer b",
            "Bearer \0",
        ),
    ],
)
def test_malformed_credentials_are_an_invalid_token(header: str) -> None:
    """Nothing is cut off or guessed."""
    with pytest.raises(InvalidToken):
        bearer_token([header.replace("\n", "\n!")])


@pytest.mark.parametrize(
    "header",
    [
        *("Bearer abc, Bearer abc", "Bearer abc,Basic YTpi", "Basic YTpi, Bearer abc"),
        *("Basic YTpi,Basic YTpj", ", Bearer abc", "Bearer abc,", ",", "Digest a=b,bearer\tx"),
    ],
)
def test_headers_that_a_gateway_joined_are_two(header: str) -> None:
    """CGI, WSGI and Django know one value of a header; no credentials hold such a comma."""
    with pytest.raises(InvalidToken) as refusal:
        bearer_token([header])
    assert not isinstance(refusal.value, MissingToken)


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\x1c", "\x0b", "\n", "\u2003"])
def test_only_blanks_and_tabs_surround_a_value(blank: str) -> None:
    """What else Python calls white space is a part of the value, which is then malformed."""
    with pytest.raises(InvalidToken):
        bearer_token([f"Bearer abc{blank}"])


def test_no_scope_that_would_do_is_named_where_there_is_none() -> None:
    """Neither in the challenge nor in the words."""
    assert "scope=" not in challenge(InsufficientScope(), REALM)
    assert InsufficientScope().description == "no scope of this API grants this request"


@given(st.lists(st.text(max_size=30) | st.from_regex(r"Bearer [a-z.]{1,9}", fullmatch=True)))
def test_any_headers_give_a_token_or_invalid_token(headers: list[str]) -> None:
    """Only one well-formed header gives a token."""
    try:
        token = bearer_token(headers)
    except InvalidToken:
        return
    assert len(headers) == 1
    assert re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token)


@pytest.mark.parametrize("second", ["Bearer abc", "Bearer def", "Basic YTpi", ""])
def test_two_authorization_headers_are_refused(second: str) -> None:
    """A proxy may have judged the other one."""
    for headers in (["Bearer abc", second], [second, "Bearer abc"]):
        with pytest.raises(InvalidToken, match="one Authorization"):
            bearer_token(headers)


@pytest.mark.spec("RFC 6750", "3.1", "a request without credentials gets no error code")
def test_no_credentials_get_a_challenge_without_an_error() -> None:
    """It names the scheme and the realm, nothing else."""
    assert challenge(MissingToken(), REALM) == f'Bearer realm="{REALM}"'


@pytest.mark.spec("RFC 6750", "3", "error, error_description and scope tell why")
@pytest.mark.parametrize(
    ("refusal", "parameters"),
    [
        (
            InvalidToken("it has expired"),
            'error="invalid_token", error_description="it has expired"',
        ),
        (
            InvalidRequest("it is malformed"),
            'error="invalid_request", error_description="it is malformed"',
        ),
        (
            InsufficientScope("customers:read", "profile:read"),
            (
                'error="insufficient_scope", error_description="this request needs the scope'
                ' customers:read profile:read", scope="customers:read profile:read"'
            ),
        ),
    ],
)
def test_a_refusal_names_its_error(refusal: OAuthError, parameters: str) -> None:
    """A refusal for want of a scope names the scope."""
    assert challenge(refusal, REALM) == f'Bearer realm="{REALM}", {parameters}'


@given(st.text(), st.text(), st.lists(st.text()))
def test_no_text_breaks_out_of_its_quotes(realm: str, description: str, scopes: list[str]) -> None:
    """Quotes, backslashes, line ends and what is not ASCII never reach the header."""
    for refusal in (InvalidToken(description), InsufficientScope(*scopes), MissingToken()):
        value = challenge(refusal, realm)
        assert re.fullmatch(f"Bearer {PARAMETER}(, {PARAMETER})*", value)


@pytest.mark.parametrize(
    ("refusal", "status", "extra"),
    [
        (MissingToken(), 401, "www-authenticate"),
        (InvalidToken(detail="a private word"), 401, "www-authenticate"),
        (InsufficientScope("customers:read"), 403, "www-authenticate"),
        (KeysUnavailable(detail="a private word"), 503, "retry-after"),
    ],
)
def test_an_answer_is_json_that_nobody_may_store(
    refusal: OAuthError, status: int, extra: str
) -> None:
    """Code and description are in the body; the operator's detail is nowhere."""
    made = answer(refusal, REALM)
    headers = dict(made.headers)

    assert made.status == status
    assert set(headers) == {"content-type", "content-length", "cache-control", extra}
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(made.body))
    assert json.loads(made.body) == {
        "error": refusal.code,
        "error_description": refusal.description,
    }
    assert "private" not in repr(made)
