"""The integrator's side: asks an authorization server for tokens, and keeps them.

token_source.py   one object for a process     renewal.py    what to do when; values and a clock
token_request.py  one request, bounded         answer.py     what its answer means
credentials.py    where ID and secret are from  cache_file.py one token for many processes
"""

from hourpass.client.errors import (
    BadAnswer,
    BadConfiguration,
    ClientExpired,
    ClientSuspended,
    OrganizationSuspended,
    ScopeNotGranted,
    ServerUnavailable,
    TokenError,
    TokenRefused,
    WrongCredentials,
)
from hourpass.client.token_source import TokenSource

__all__ = [
    "BadAnswer",
    "BadConfiguration",
    "ClientExpired",
    "ClientSuspended",
    "OrganizationSuspended",
    "ScopeNotGranted",
    "ServerUnavailable",
    "TokenError",
    "TokenRefused",
    "TokenSource",
    "WrongCredentials",
]
