"""One token request over the network, bounded in time and size (RFC 6749 section 4.4)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from hourpass import fetch
from hourpass.client.addresses import is_confidential
from hourpass.client.answer import Granted, read_answer, retry_after
from hourpass.client.credentials import ClientCredentials
from hourpass.client.errors import BadAnswer, BadConfiguration, ServerUnavailable
from hourpass.oauth import basic
from hourpass.oauth.metadata import locations

MAX_ANSWER = 64 * 1024  # octets


def request_token(
    token_url: str,
    credentials: ClientCredentials,
    *,
    scope: str | None,
    resource: str | None,
    deadline: float,
) -> Granted:
    """Ask once. `deadline` is a reading of `time.monotonic()`; raises TokenError."""
    form = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
    headers = {
        "Authorization": basic.encode(credentials.client_id, credentials.client_secret),
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    body = urlencode({name: value for name, value in form.items() if value is not None})
    answer = _fetch("POST", token_url, deadline, headers, body.encode("ascii"))
    return read_answer(answer, where=token_url, scope=scope, now=datetime.now(UTC))


def find_token_url(issuer: str, *, allow_http: bool, deadline: float) -> str:
    """The `token_endpoint` in the issuer's metadata (RFC 8414); raises TokenError."""
    for location in locations(issuer):
        answer = _fetch("GET", location, deadline, {"Accept": "application/json"})
        if answer.status in (408, 429) or answer.status >= 500:
            raise ServerUnavailable(
                f"{location} is not available now (status {answer.status}): try again later",
                status=answer.status,
                retry_after_s=retry_after(answer.headers, datetime.now(UTC)),
            )
        if answer.status == 200:
            return _token_url(answer.body, issuer, location, allow_http=allow_http)
    raise BadAnswer(
        f"there is no metadata at {location} (status {answer.status}): check the issuer",
        status=answer.status,
    )


def _token_url(body: bytes, issuer: str, location: str, *, allow_http: bool) -> str:
    """RFC 8414 section 3.3: metadata of another issuer, however alike, must not be used."""
    try:
        metadata = json.loads(body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise BadAnswer(f"{location} is no JSON object: check the issuer")
    named = metadata.get("issuer")
    if named != issuer:
        if isinstance(named, str) and len(named) < 200 and _is_address(named):
            raise BadConfiguration(
                f"the server at {issuer} calls itself {named}: give exactly that as the issuer"
            )
        raise BadConfiguration(f"the metadata at {location} is not that of {issuer}")
    url = metadata.get("token_endpoint")
    downgrade = issuer.startswith("https:") and not str(url).startswith("https:")
    if not isinstance(url, str) or downgrade or not _is_address(url):
        raise BadAnswer(f"the metadata at {location} names no token_endpoint that can be used")
    if not allow_http and not is_confidential(url):
        raise BadAnswer(f"the metadata at {location} names a token_endpoint without https")
    return url


def _is_address(url: str) -> bool:
    try:
        is_confidential(url)
    except ValueError:
        return False
    return True


def _fetch(
    method: str, url: str, deadline: float, headers: Mapping[str, str], body: bytes | None = None
) -> fetch.Answer:
    try:
        return fetch.fetch(
            method, url, deadline=deadline, headers=headers, body=body, max_body=MAX_ANSWER
        )
    except fetch.AnswerTooLong:
        raise BadAnswer(f"{url} sends more than 64 KiB: check the address") from None
    except fetch.FetchFailed as fault:
        raise ServerUnavailable(
            f"{url} cannot be reached ({fault.why}): check the address, or try again later"
        ) from None
