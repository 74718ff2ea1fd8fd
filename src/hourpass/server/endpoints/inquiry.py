"""`POST /introspect` (RFC 7662) and `POST /revoke` (RFC 7009): about a token, with credentials.

    read the body ─▶ one look at the rows of token and caller ─▶ who asks? ─▶ answer

Who does not prove to be a client learns nothing of the token, and is on record as at `/token`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from hourpass.oauth.errors import (
    InvalidClient,
    InvalidToken,
    OAuthError,
    TemporarilyUnavailable,
)
from hourpass.server.clients.model import Client
from hourpass.server.db.engine import Database, DatabaseUnavailable
from hourpass.server.endpoints.gate import Gate
from hourpass.server.endpoints.http import (
    JSON,
    NO_STORE,
    REFUSED,
    Answer,
    Networks,
    Receive,
    Scope,
    Send,
    caller_address,
    joined,
    json_bytes,
    refusal,
    serve_post,
)
from hourpass.server.endpoints.token import raw_request
from hourpass.server.tokens import authenticate, introspect, revoke
from hourpass.server.tokens.claims import Claims
from hourpass.server.tokens.commit import CommitLoop
from hourpass.server.tokens.exchange import Refused, Registered, authenticated
from hourpass.server.tokens.failures import FailureBudgets
from hourpass.server.tokens.live import Known, LiveChecks
from hourpass.server.tokens.standing import refuse_fallen
from hourpass.server.tokens.standing_store import Seen

_SLOTS = 2
_HEADERS = [JSON, *NO_STORE]
_HEAD = joined(_HEADERS)
_INACTIVE = json_bytes(introspect.INACTIVE)
Asked = tuple[Claims | None, Seen, Known]
InquiryAnswer = Callable[[Client, Asked, str, str], Awaitable[bytes]]


class InquiryEndpoint:
    """What the two have in common: whose request it is, and which token it is about."""

    def __init__(
        self,
        live: LiveChecks,
        commits: CommitLoop[bytes],
        failures: FailureBudgets,
        trusted_proxies: Networks,
        *,
        name: str,
        answer: InquiryAnswer,
    ) -> None:
        """`answer` gets the caller, what was seen, request ID and address; gives the body."""
        self.outcomes: Counter[str] = Counter()
        """Of introspection: `active` or `inactive`, and else the code of the error."""
        self._live = live
        self._commits = commits
        self._failures = failures
        self._trusted = tuple(trusted_proxies)
        self._name = name
        self._respond = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request about a token, to its answer."""
        await serve_post(scope, receive, send, authenticate.MAX_BODY, self._ask)

    async def _ask(self, scope: Scope, body: bytes, request_id: str) -> Answer:
        ip = caller_address(scope, self._trusted)
        known_as: Registered | None = None
        named = ""
        try:
            inquiry = authenticate.parse_inquiry(raw_request(scope, body, request_id, ip))
            named = inquiry.client_id
            asked = await self._seen(inquiry)
            _, seen, known = asked
            known_as = seen.caller
            caller = authenticated(inquiry.secret, known_as, known.facts.keyring, seen.now)
        except InvalidClient as fault:
            self.outcomes[fault.code] += 1
            client = known_as.client if known_as is not None else None
            refused = Refused(fault.bare(), client, ip, request_id, self._name, named)
            return await self._refuse(scope, refused)
        except OAuthError as fault:
            self.outcomes[fault.code] += 1
            raise
        body = await self._respond(caller, asked, request_id, ip)
        self.outcomes["inactive" if body == _INACTIVE else "active"] += 1
        return Answer(200, _HEADERS, body, _HEAD)

    async def _refuse(self, scope: Scope, refused: Refused) -> Answer:
        """On record, then answered. (See `TokenEndpoint`: nothing is raised.)"""
        await self._commits.join(refused)
        scope[REFUSED] = error = self._failures.answer_to(refused)
        return refusal(error)

    async def _seen(self, inquiry: authenticate.Inquiry) -> Asked:
        """The token's claims, if it is one of ours and has not expired; the rows of both."""
        try:
            return await self._live.check(inquiry.token, caller=inquiry.client_id)
        except InvalidToken:
            return None, *await self._live.caller(inquiry.client_id)


def introspection(issuer: str) -> InquiryAnswer:
    """Answers with what the caller may know of the token."""

    async def answer(caller: Client, asked: Asked, _request_id: str, _ip: str) -> bytes:
        claims, seen, known = asked
        if claims is None:
            return _INACTIVE
        try:
            refuse_fallen(claims, seen.standing)
        except InvalidToken:
            return _INACTIVE
        # Of a token that stands, the answer is the same as long as caller and catalogue are.
        key = (caller.client_id, caller.version, claims.client_id, claims.jti)
        body = known.introspected.get(key)
        if body is None:
            catalogue = known.facts.catalogue
            body = json_bytes(introspect.answer(caller, claims, catalogue, issuer))
            known.introspected.put(key, body)
        return body

    return answer


def revocation(database: Database) -> InquiryAnswer:
    """Revokes the caller's own token; any other is answered alike, and nothing is done."""

    gate = Gate(_SLOTS)

    async def answer(caller: Client, asked: Asked, request_id: str, ip: str) -> bytes:
        claims, _, _ = asked
        if claims is not None and claims.client_id == caller.client_id:
            deed = partial(revoke.revoke, database, caller, claims, request_id=request_id, ip=ip)
            try:
                await gate.through(partial(asyncio.to_thread, deed))
            except DatabaseUnavailable as fault:
                raise TemporarilyUnavailable from fault
        return b"{}"

    return answer
