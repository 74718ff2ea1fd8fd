"""What every front door decides, decided once: is it public, whose token, may it pass?

A door brings a request's parts in the form of its framework, and turns an `Answer` into one
of its own. It decides nothing itself, so that all doors answer alike.
"""

import json
import logging
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from hourpass.limits import Limiter, PerMinute, Rule, Verdict
from hourpass.limits.rules import Headers
from hourpass.oauth.bearer import Answer, answer, bearer_token
from hourpass.oauth.errors import InsufficientScope, OAuthError, RateLimited
from hourpass.oauth.grants import Granted
from hourpass.oauth.metadata import WELL_KNOWN_RESOURCE, resource_document, resource_location
from hourpass.resource_server.claims import AccessToken
from hourpass.resource_server.verifier import Verifier

METADATA_AGE = 3600  # seconds
_log = logging.getLogger("hourpass.resource_server")


class ProtectedResource:
    """An API behind its door (RFC 6749 section 1.1 calls it a protected resource)."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        public: Iterable[str] = (),
        realm: str | None = None,
        grants: Granted | None = None,
        metadata: bool = False,
        limits: PerMinute | None = None,
        limits_url: str | None = None,
    ) -> None:
        """The settings of every door.

        `public` are exact, decoded paths that need no token; `realm` is the audience by
        default. With `grants` each request needs a scope that grants its method and path.
        With `metadata` the API's metadata (RFC 9728) is public, and challenges point to it.
        With `limits` a client may make so many requests a minute, counted in this process, or
        in the Valkey or Redis that `limits_url` names.
        Raises ValueError when the audience is no URL, where metadata could be; for a public
        path that no request can have; for an unusable `limits_url`; for limits of scopes without
        grants, which say what a scope grants. TypeError for a value of another type.
        """
        _is_a(Verifier, "verifier", verifier, "Verifier(issuer, audience)")
        if grants is not None:
            _is_a(Granted, "grants", grants, "what catalogue_grants(file) gives")
        if limits is not None:
            _is_a(PerMinute, "limits", limits, "PerMinute(api=600) or catalogue_limits(file)")
        if isinstance(public, str):
            raise TypeError("public is a collection of paths, not one string")
        self._public = frozenset(public)
        for path in self._public:
            if not path.startswith("/"):
                raise ValueError(f"public: a path begins with /, and {path!r} does not")
        if limits is not None and limits.scopes and grants is None:
            raise ValueError("limits of scopes need grants=, which say what a scope grants")
        if limits_url is not None and limits is None:
            raise ValueError("limits_url needs limits=")
        self.verifier = verifier
        self.grants = grants
        self.limits = limits or None
        """None where nothing is limited: then nobody need ask `limit`."""
        self._limiter = Limiter(limits_url if limits else None)
        self._realm = verifier.audience if realm is None else realm
        self._metadata_url: str | None = None
        self._documents: dict[str, Answer] = {}
        if metadata:
            self._metadata_url = resource_location(verifier.audience)
            scopes = frozenset[str]() if grants is None else grants.scopes
            document = _document(verifier, scopes)
            paths = (WELL_KNOWN_RESOURCE, urlsplit(self._metadata_url).path)
            self._documents = dict.fromkeys(paths, document)
        self.open_paths = self._public | self._documents.keys()
        """Paths that may need no token: others need not be asked about."""

    def is_public(self, path: str) -> bool:
        """Whether the decoded `path` needs no token."""
        return path in self._public

    def document(self, method: str, path: str) -> Answer | None:
        """The API's metadata, if that is what this request asks for (RFC 9728 section 3)."""
        if not self._documents or method not in ("GET", "HEAD"):
            return None
        return self._documents.get(path)

    def admit(self, authorization: Sequence[str], method: str, target: str) -> AccessToken:
        """The token of a request that may pass; the token is judged before the target.

        `authorization` are the values of its Authorization headers; `target` is the path as it
        was received, and of account only with grants. Raises InvalidToken, InsufficientScope
        or KeysUnavailable, for `refuse`.
        """
        token = self.recall(authorization)
        if token is None:
            token = self.verifier.verify(bearer_token(authorization))
        if self.grants is not None:
            self.grants.authorize(token.scopes, method, target)
        return token

    async def admit_async(
        self, authorization: Sequence[str], method: str, target: str
    ) -> AccessToken:
        """`admit`, without blocking the event loop while keys are fetched."""
        token = self.recall(authorization)
        if token is None:
            token = await self.verifier.verify_async(bearer_token(authorization))
        if self.grants is not None:
            self.grants.authorize(token.scopes, method, target)
        return token

    def recall(self, authorization: Sequence[str]) -> AccessToken | None:
        """The token of a request, if it is known: `admit` without grants would give the same.

        Raises InvalidToken when it has expired.
        """
        return self.verifier.recall(authorization[0]) if len(authorization) == 1 else None

    def limit(self, token: AccessToken, method: str, target: str) -> Headers:
        """Count a request that was admitted; what its answer says of limits.

        Raises RateLimited, for `refuse`: then nothing was counted.
        """
        rules = self._rules(token, method, target)
        return _told(self._limiter.take(rules), token) if rules else ()

    async def limit_async(self, token: AccessToken, method: str, target: str) -> Headers:
        """`limit`, without blocking the event loop while a store is asked."""
        rules = self._rules(token, method, target)
        return _told(await self._limiter.take_async(rules), token) if rules else ()

    def _rules(self, token: AccessToken, method: str, target: str) -> tuple[Rule, ...]:
        if self.limits is None:
            return ()
        granted_by = frozenset[str]()
        if self.limits.scopes and self.grants is not None:
            granted_by = self.grants.authorize(token.scopes, method, target)
        return self.limits.rules(self.verifier.audience, token.client_id, granted_by)

    def refuse(self, refusal: OAuthError) -> Answer:
        """The answer; the operator's log has what is not in it."""
        _log.info("%s: %s (%s)", refusal.code, refusal.description, refusal.detail)
        return answer(refusal, self._realm, self._metadata_url)


def _is_a(kind: type, name: str, value: object, how: str) -> None:
    """Else the mistake would show with the first request only, as a fault of the app."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} has to be {how}, not {value!r}")


def _told(verdict: Verdict, token: AccessToken) -> Headers:
    if not verdict.allowed:
        raise RateLimited(verdict.headers, detail=token.client_id)
    return verdict.headers


def check_scopes(token: AccessToken, names: Sequence[str]) -> AccessToken:
    """The token, if it grants every scope in `names`; raises InsufficientScope."""
    if not token.scopes.issuperset(names):
        raise InsufficientScope(*names)
    return token


def _document(verifier: Verifier, scopes: frozenset[str]) -> Answer:
    document = resource_document(verifier.audience, verifier.issuer, scopes)
    body = json.dumps(document).encode("ascii")
    headers = (
        ("content-type", "application/json"),
        ("cache-control", f"max-age={METADATA_AGE}"),
        ("content-length", str(len(body))),
    )
    return Answer(status=200, headers=headers, body=body)
