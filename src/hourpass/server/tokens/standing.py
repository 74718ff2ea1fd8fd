"""How the client of a token stands now, and what that makes of the token. Pure.

No clock takes part: a token is refused when its client is gone, its generation is not the
row's any more, its organization is suspended, or it was revoked itself (RFC 7009).
"""

from typing import NamedTuple

from hourpass.oauth.errors import InvalidToken
from hourpass.server.tokens.claims import MALFORMED, Claims


class Standing(NamedTuple):
    """What the rows say about a token and its client, at one moment.

    A tuple, as one is made for every check: a frozen dataclass costs four times as much.
    """

    generation: int
    organization: str
    organization_suspended: bool
    revoked: bool
    limit_per_minute: int | None = None


def refuse_fallen(claims: Claims, standing: Standing | None) -> None:
    """Raises InvalidToken where the token must not be honoured; None: its client is gone."""
    if standing is None:
        raise InvalidToken("the API client of this token is gone", detail="client_gone")
    if standing.revoked or standing.generation != claims.generation:
        raise InvalidToken("the access token was revoked", detail="revoked")
    if standing.organization != claims.organization:
        raise InvalidToken(MALFORMED, detail="another organization")
    if standing.organization_suspended:
        raise InvalidToken("the organization is suspended", detail="organization_suspended")
