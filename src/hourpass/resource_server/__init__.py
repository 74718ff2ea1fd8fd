"""Checks access tokens, for the API that they open; never talks to the server's database.

verifier.py     one call: is this token good here?     claims.py   what it must say
jwks.py         the issuer's keys, kept fresh          fetch.py    one bounded GET
challenges.py   RFC 6750 in bytes                      catalogue.py   grants from hourpass.toml

protected_resource.py decides, and the front doors bring it requests, each in the form of its
framework: asgi.py, wsgi.py, starlette.py, fastapi.py, flask.py, django.py, rest_framework.py.
targets.py says which path an app serves; memory.py is what a verifier remembers.
"""

from hourpass.oauth.errors import InsufficientScope, InvalidToken
from hourpass.resource_server.catalogue import catalogue_grants
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.verifier import Verifier

__all__ = [
    "AccessToken",
    "InsufficientScope",
    "InvalidToken",
    "KeysUnavailable",
    "Verifier",
    "catalogue_grants",
]
