"""Checks access tokens, for the API that they open; never talks to the server's database.

verifier.py     one call: is this token good here?     claims.py   what it must say
jwks.py         the issuer's keys, kept fresh, by ../fetch.py: one bounded GET
catalogue.py   grants and limits from hourpass.toml

protected_resource.py decides, and the front doors bring it requests, each in the form of its
framework: asgi.py, wsgi.py, starlette.py, fastapi.py, flask.py, django.py, rest_framework.py.
targets.py says which path an app serves; memory.py is what a verifier remembers.
"""

from hourpass.limits import PerMinute
from hourpass.oauth.errors import InsufficientScope, InvalidToken
from hourpass.resource_server.catalogue import catalogue_grants, catalogue_limits
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.jwks import KeysUnavailable
from hourpass.resource_server.verifier import Verifier

__all__ = [
    "AccessToken",
    "InsufficientScope",
    "InvalidToken",
    "KeysUnavailable",
    "PerMinute",
    "Verifier",
    "catalogue_grants",
    "catalogue_limits",
]
