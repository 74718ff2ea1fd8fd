"""`/verify`: a proxy asks whether a request may pass (forward-auth).

    /verify?api=<key>              Authorization, X-Forwarded-Method, X-Forwarded-Uri are judged
    /verify/<key>/<path>           this request itself is judged, without that prefix

200 tells who it is in three headers, always all of them; anything else is the answer that the
caller of the API should get. Every other header, of whatever spelling, is ignored.

A client over its limit is 429. A proxy that cannot pass that on (nginx) says `&limited=403`: then
it is 403 with `X-Hourpass-Limited: 1`.
"""

from collections import Counter
from typing import NamedTuple

from hourpass.limits import Limiter
from hourpass.limits.rules import Headers
from hourpass.oauth import bearer
from hourpass.oauth import scope as scope_syntax
from hourpass.oauth.errors import (
    InsufficientScope,
    InvalidRequest,
    OAuthError,
    RateLimited,
    WrongAudience,
)
from hourpass.oauth.grants import AmbiguousPath
from hourpass.server.endpoints.http import (
    REFUSED,
    Answer,
    Receive,
    Scope,
    Send,
    joined,
    refusal,
    respond,
)
from hourpass.server.tokens.claims import Claims
from hourpass.server.tokens.live import LiveChecks, Opened
from hourpass.server.tokens.standing import refuse_fallen

_NO_STORE = (b"cache-control", b"no-store")
_LIMITED = (b"x-hourpass-limited", b"1")


class NotJudged(InvalidRequest):
    """The proxy does not say what is to be judged: whatever it is, it must not pass."""

    status = 403


class Forwarded(NamedTuple):
    """The request that the proxy holds back, as often as each part was sent."""

    api: str | None
    authorization: list[bytes]
    methods: list[bytes]
    targets: list[bytes]
    limited: str | None = None

    def request(self) -> tuple[str, str]:
        """Method and request target; raises NotJudged."""
        if len(self.methods) != 1 or len(self.targets) != 1:
            raise NotJudged(
                "the proxy has to send X-Forwarded-Method and X-Forwarded-Uri, once each"
            )
        method, target = self.methods[0].strip(b" \t"), self.targets[0].strip(b" \t")
        return method.decode("latin-1"), target.decode("latin-1")


class VerifyEndpoint:
    """Forward-auth for every API of the catalogue."""

    def __init__(self, live: LiveChecks, limiter: Limiter, prefix: str) -> None:
        """`prefix` is the path of the issuer, which requests may or may not have in front."""
        self.outcomes: Counter[str] = Counter()
        """How often a request passed (`allowed`), and why not: the code of the error."""
        self._live = live
        self._limiter = limiter
        self._paths = tuple(f"{start}/verify" for start in dict.fromkeys((prefix, "")))
        self._prefixes = tuple(f"{path}/".encode("ascii") for path in self._paths)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One question of a proxy, to its answer."""
        opened: Opened | None = None
        forwarded: Forwarded | None = None
        try:
            forwarded = self._forwarded(scope)
            opened = await self._live.api(forwarded.api)
            if opened is None:
                raise NotJudged("the proxy has to name an API of the catalogue: ?api=<key>")
            reply = await self._judge(forwarded, opened)
            self.outcomes["allowed"] += 1
        except NotJudged as fault:
            self._note(scope, fault)
            reply = refusal(fault)
        except RateLimited as refused:
            self._note(scope, refused)
            reply = _refused(refused, opened)
            if forwarded is not None and forwarded.limited == "403":
                reply = Answer(403, (*reply.headers, _LIMITED), reply.body)
        except OAuthError as refused:
            self._note(scope, refused)
            reply = _refused(refused, opened)
        await respond(send, reply, scope=scope)

    def _note(self, scope: Scope, refused: OAuthError) -> None:
        self.outcomes[refused.code] += 1
        scope[REFUSED] = refused.bare()

    async def _judge(self, forwarded: Forwarded, opened: Opened) -> Answer:
        """Token, then path, then scope, then limits."""
        token = bearer.bearer_token([value.decode("latin-1") for value in forwarded.authorization])
        claims, seen, known = await self._live.check(token)
        standing = seen.standing
        refuse_fallen(claims, standing)
        opened = known.apis.get(forwarded.api, opened)
        if opened.api.identifier not in claims.audiences:
            raise WrongAudience(detail="aud")
        method, target = forwarded.request()
        try:
            granting = opened.granted.scopes_for(method, target)
        except AmbiguousPath as fault:
            raise InsufficientScope(description=str(fault)) from fault
        if granting.isdisjoint(claims.scopes):
            raise InsufficientScope(*sorted(granting)[:1])
        own = None if standing is None else standing.limit_per_minute
        if own is None and not opened.limits:
            return _passes(claims, opened)
        granted_by = granting & claims.scopes
        rules = opened.limits.rules(opened.api.identifier, claims.client_id, granted_by, own)
        if not rules:
            return _passes(claims, opened)
        verdict = await self._limiter.take_async(rules)
        if not verdict.allowed:
            raise RateLimited(verdict.headers, detail=claims.client_id)
        return _passes(claims, opened, verdict.headers)

    def _forwarded(self, scope: Scope) -> Forwarded:
        authorization, methods, targets = [], [], []
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization.append(value)
            elif name == b"x-forwarded-method":
                methods.append(value)
            elif name == b"x-forwarded-uri":
                targets.append(value)
        if scope["path"] in self._paths:  # not: ends like that, which an appended path can too
            api = _parameter(scope["query_string"], b"api")
            limited = _parameter(scope["query_string"], b"limited")
            return Forwarded(api, authorization, methods, targets, limited)
        key, target = self._appended(scope)
        return Forwarded(key, authorization, [scope["method"].encode("latin-1")], [target])

    def _appended(self, scope: Scope) -> tuple[str, bytes]:
        """Key and target of `/verify/<key>/<path>`, the target as it was received."""
        path: bytes = scope["raw_path"]
        for prefix in self._prefixes:
            if path.startswith(prefix):
                key, slash, rest = path[len(prefix) :].partition(b"/")
                return key.decode("latin-1"), slash + rest
        raise NotJudged("the path has to be /verify/<key>/<path>, spelled like that")


def _passes(claims: Claims, opened: Opened, limits: Headers = ()) -> Answer:
    """Who it is: of a token for several APIs, the scopes of this one."""
    scope = claims.scope
    if len(claims.audiences) > 1:
        scope = scope_syntax.join(claims.scopes & opened.names)
    head = (
        f"cache-control: no-store\r\nx-hourpass-client-id: {claims.client_id}\r\n"
        f"x-hourpass-scopes: {scope}\r\nx-hourpass-organization: {claims.organization}\r\n"
    ).encode("ascii")
    headers = (
        _NO_STORE,
        (b"x-hourpass-client-id", claims.client_id.encode("ascii")),
        (b"x-hourpass-scopes", scope.encode("ascii")),
        (b"x-hourpass-organization", claims.organization.encode("ascii")),
    )
    if not limits:
        return Answer(200, headers, head=head)
    told = [(name.encode("ascii"), text.encode("ascii")) for name, text in limits]
    return Answer(200, (*headers, *told), head=head + joined(told))


def _parameter(query: bytes, name: bytes) -> str | None:
    """A parameter of our own query, which holds no escapes; raises NotJudged for two of them."""
    found = [
        value
        for pair in query.split(b"&")
        for key, _, value in (pair.partition(b"="),)
        if key == name
    ]
    if len(found) > 1:
        raise NotJudged(f"{name.decode('ascii')} stands in the query more than once")
    return found[0].decode("latin-1") if found and found[0] else None


def _refused(refused: OAuthError, opened: Opened | None) -> Answer:
    """What the caller of the API gets (RFC 6750 section 3)."""
    if refused.status >= 500:
        return refusal(refused)
    realm = "hourpass" if opened is None else opened.api.identifier
    answer = bearer.answer(refused, realm)
    headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in answer.headers]
    return Answer(
        answer.status,
        [pair for pair in headers if pair[0] != b"content-length"],
        answer.body,
    )
