"""Checks access tokens, for the API that they open; never talks to the server's database.

verifier.py     one call: is this token good here?     claims.py   what it must say
jwks.py         the issuer's keys, kept fresh          fetch.py    one bounded GET
asgi.py, fastapi.py   front doors; refusals in bytes are in oauth/bearer.py
"""

from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.verifier import Verifier

__all__ = ["AccessToken", "KeysUnavailable", "Verifier"]
