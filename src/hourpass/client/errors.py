"""Why there is no token: one tree, told apart by type.

    TokenError
    ├── BadConfiguration        what this program was given; no secret was sent
    ├── TokenRefused            the server has decided; asking again changes nothing by itself
    │   ├── WrongCredentials · ClientSuspended · ClientExpired · OrganizationSuspended
    │   └── ScopeNotGranted
    ├── ServerUnavailable       nobody has decided; asking again later may help
    └── BadAnswer               what answers is no token endpoint, or a broken one

Each text is one line that says what to do. No secret and no token is in a text or a repr.
"""

from typing import ClassVar


class TokenError(Exception):
    """There is no token.

    `error` and `reason` are the server's words for programs (RFC 6749 5.2 and Hourpass's
    `reason`), None where the server said none. `status` is that of the HTTP answer, None when
    there was none. `retry_after_s` is how many seconds the server asked to be left alone.
    """

    advice: ClassVar[str] = "no token could be got"

    def __init__(
        self,
        message: str | None = None,
        *,
        error: str | None = None,
        reason: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.error = error
        self.reason = reason
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message or self.advice)

    def again(self) -> "TokenError":
        """The same error once more: an exception that several threads raise would mix traces."""
        return type(self)(
            str(self),
            error=self.error,
            reason=self.reason,
            status=self.status,
            retry_after_s=self.retry_after_s,
        )


class BadConfiguration(TokenError):
    """A setting cannot be used: an address, a file, credentials that are not whole."""

    advice = "the settings of the token source cannot be used"


class TokenRefused(TokenError):
    """The server refused the request, and will until somebody changes something."""

    advice = "the server refused to issue a token"


class WrongCredentials(TokenRefused):
    """`invalid_client` without a reason: ID unknown, secret wrong, rotated away, or deleted."""

    advice = (
        "the client ID or the secret is wrong: check that they belong together, and get the new"
        " secret if it was rotated"
    )


class ClientSuspended(TokenRefused):
    """`invalid_client`, reason `suspended`: the secret is right."""

    advice = "this API client is suspended: ask the API's operator to activate it"


class ClientExpired(TokenRefused):
    """`invalid_client`, reason `expired`: the secret is right, and this is final."""

    advice = "this API client has expired: ask the API's operator for a new one"


class OrganizationSuspended(TokenRefused):
    """`invalid_client`, reason `organization_suspended`: the secret is right."""

    advice = "the organization of this API client is suspended: ask the API's operator"


class ScopeNotGranted(TokenRefused):
    """`invalid_scope`: the client does not hold a scope that was asked for."""

    advice = (
        "the client does not hold a scope that was asked for: ask for less, or have the API's"
        " operator grant it"
    )


class ServerUnavailable(TokenError):
    """No answer, 429 or 5xx, for as long as the token source was willing to wait."""

    advice = "the token endpoint is not available now: try again later"


class BadAnswer(TokenError):
    """An answer that no token endpoint gives, or that came from a broken one."""

    advice = "what answers is no token endpoint: check the address"
