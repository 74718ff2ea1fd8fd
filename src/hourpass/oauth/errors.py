"""Refusals, in the words of the standards.

    OAuthError
    ├── InvalidRequest ── UnsupportedMediaType · MethodNotAllowed
    │                     RequestTooLarge · HeadersTooLarge · RequestTimeout
    ├── InvalidClient ── ClientSuspended · ClientExpired · OrganizationSuspended
    ├── InvalidScope · InvalidTarget · UnsupportedGrantType · UnsupportedResponseType
    ├── TooManyAttempts                                       (RFC 6585)
    ├── ServerError · TemporarilyUnavailable ── Overloaded
    ├── InvalidToken ── WrongAudience                         (answers of an API, RFC 6750)
    ├── InsufficientScope                                     (likewise)
    └── RateLimited                                           (likewise, RFC 6585)

An error has public words (`code`, `description`, `reason`), which are sent, and a private
`detail`, which is for the operator's eyes (audit, log) and never leaves the server.
"""

from typing import ClassVar, Self


class OAuthError(Exception):
    """A refusal that has an answer (RFC 6749 section 5.2, RFC 6750 section 3.1)."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 400
    description: str = "the request cannot be answered"
    reason: ClassVar[str | None] = None

    def __init__(self, description: str | None = None, *, detail: str = "") -> None:
        """`description` goes to the caller (printable ASCII); `detail` stays with the operator."""
        if description is not None:
            self.description = description
        self.detail = detail
        super().__init__(self.description)

    def bare(self) -> Self:
        """Without where it was raised: those frames hold the request, and so its secret.

        They hold what holds this error as well (a batch, the scope of a request): in a flood such
        circles grow to 80 MB before the collector comes round.
        """
        self.__context__ = self.__cause__ = None
        return self.with_traceback(None)


class InvalidRequest(OAuthError):
    """The request is malformed (RFC 6749 5.2)."""

    code = "invalid_request"


class UnsupportedMediaType(InvalidRequest):
    """The body is neither a form nor JSON."""

    status = 415
    description = "send the parameters as application/x-www-form-urlencoded or as application/json"


class MethodNotAllowed(InvalidRequest):
    """The route answers to another method."""

    status = 405
    description = "this endpoint answers to POST only"


class RequestTooLarge(InvalidRequest):
    """A body over its bound."""

    status = 413
    description = "the body is larger than 16 KiB"


class HeadersTooLarge(InvalidRequest):
    """A header block over its bound."""

    status = 431
    description = "the request headers are larger than 8 KiB"


class RequestTimeout(InvalidRequest):
    """A body that was announced and did not come."""

    status = 408
    description = "the body did not arrive in time"


class InvalidClient(OAuthError):
    """One answer for unknown ID, wrong secret and deleted client alike (RFC 6749 5.2)."""

    code, status = "invalid_client", 401
    description = "client authentication failed"


class ClientSuspended(InvalidClient):
    """The secret is right, but an operator has suspended the client."""

    reason = "suspended"
    description = "this API client is suspended; ask the API's operator to re-activate it"


class ClientExpired(InvalidClient):
    """The secret is right, but the client is past its expiry date."""

    reason = "expired"
    description = "this API client has expired; ask the API's operator for a new one"


class OrganizationSuspended(InvalidClient):
    """The secret is right, but the client's organization is suspended."""

    reason = "organization_suspended"
    description = "the organization of this API client is suspended; ask the API's operator"


class TooManyAttempts(OAuthError):
    """In the place of `invalid_client`, once an address failed too often (RFC 6585 section 4).

    Like that one it is the same for an unknown ID, a wrong secret and a malformed one.
    """

    code, status = "rate_limited", 429
    description = (
        "too many failed attempts from this address: check client ID and secret, "
        "and go on when Retry-After has passed"
    )

    def __init__(self, retry_after_s: int = 60, *, detail: str = "") -> None:
        """`retry_after_s` is in whole seconds (RFC 9110 section 10.2.3)."""
        self.retry_after_s = retry_after_s
        super().__init__(detail=detail)


class InvalidScope(OAuthError):
    """A scope that is malformed, or that the client does not hold (RFC 6749 5.2)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """A resource that is unknown, or that does not go with the scopes (RFC 8707 section 2)."""

    code = "invalid_target"


class UnsupportedGrantType(OAuthError):
    """Any grant but client credentials (RFC 6749 5.2)."""

    code = "unsupported_grant_type"
    description = "the only grant type here is client_credentials"


class UnsupportedResponseType(OAuthError):
    """The authorization endpoint has no response type to offer (RFC 6749 4.1.2.1)."""

    code = "unsupported_response_type"
    description = "this server signs in machines, not people"


class ServerError(OAuthError):
    """A fault of ours, met by one request; its neighbours go on."""

    code, status = "server_error", 500
    description = "an internal fault was logged; nothing was issued"


class TemporarilyUnavailable(OAuthError):
    """The database cannot answer now, or its answer is unknown."""

    code, status = "temporarily_unavailable", 503
    description = "the database is not available now; try again in a moment"


class Overloaded(TemporarilyUnavailable):
    """More is asked than can be answered in time: nothing was begun for this request."""

    description = "too many requests are waiting; try again in a moment"


class InvalidToken(OAuthError):
    """The access token is missing a quality that this API demands (RFC 6750 3.1)."""

    code, status = "invalid_token", 401
    description = "the access token is not valid here; request a new one"


class WrongAudience(InvalidToken):
    """The access token is a good one, of which `aud` names other APIs (RFC 9068 section 4)."""

    description = "the access token is for another API; request one for this API"


class InsufficientScope(OAuthError):
    """The token is good, but does not grant this request (RFC 6750 3.1)."""

    code, status = "insufficient_scope", 403

    def __init__(self, *scopes: str, description: str | None = None) -> None:
        """`scopes` are the names that would have granted the request; none: no scope would."""
        self.scopes = scopes
        if description is None:
            needed = f"this request needs the scope {' '.join(scopes)}"
            description = needed if scopes else "no scope of this API grants this request"
        super().__init__(description)


class RateLimited(OAuthError):
    """The token is good, but its client makes too many requests (RFC 6585 section 4)."""

    code, status = "rate_limited", 429
    description = "too many requests in this minute; go on when Retry-After has passed"

    def __init__(self, headers: tuple[tuple[str, str], ...] = (), *, detail: str = "") -> None:
        """`headers` of the answer, names in lower case: Retry-After, RateLimit and its policy."""
        self.headers = headers
        super().__init__(detail=detail)
