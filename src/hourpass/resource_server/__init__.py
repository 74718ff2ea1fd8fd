"""Checks access tokens, for the API that they open; never talks to the server's database.

verifier.py     one call: is this token good here?     claims.py   what it must say
jwks.py         the issuer's keys, kept fresh          fetch.py    one bounded GET
challenges.py   RFC 6750 in bytes                      asgi.py, fastapi.py   front doors
"""

from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.verifier import Verifier

__all__ = ["AccessToken", "KeysUnavailable", "Verifier"]
