"""Online checks of tokens by the thousand: for `/verify`, `/introspect` and `/revoke`.

    signature   checked once for a token and a set of keys, then remembered
    rows        read for every check, those of all that wait in one look

What is remembered are facts that cannot change (a signature and the claims below it) and facts
that carry a version (keys, catalogue), which every look compares. No decision is remembered.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from hourpass.limits import PerMinute
from hourpass.oauth.errors import InvalidToken, Overloaded, TemporarilyUnavailable
from hourpass.oauth.grants import Granted
from hourpass.oauth.jose import BadSignature, PublicKeys, read_header
from hourpass.server.catalogue.model import Api
from hourpass.server.db.engine import BUDGET_S, DatabaseUnavailable
from hourpass.server.tokens.backlog import Backlog
from hourpass.server.tokens.claims import MALFORMED, MAX_TOKEN, Claims, verified
from hourpass.server.tokens.exchange import Facts
from hourpass.server.tokens.remembered import MAX_REMEMBERED, Remembered
from hourpass.server.tokens.standing_store import Question, Seen, StandingStore

MAX_WAITING = 10_000
MAX_BATCH = 256

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An API, what its scopes open, the names of these scopes, and the catalogue's limits."""

    api: Api
    granted: Granted
    names: frozenset[str]
    limits: PerMinute


class Known:
    """Catalogue and keys at one version each, and the tokens whose signature was checked."""

    def __init__(self, facts: Facts, keys: PublicKeys, issuer: str) -> None:
        """`keys` are those that verify tokens now."""
        self.facts = facts
        self.keys = keys
        self._issuer = issuer
        self._claims = Remembered[bytes, Claims](MAX_REMEMBERED)
        self.introspected = Remembered[tuple[str, int, str, str], bytes](MAX_REMEMBERED)
        """Answers by caller and its version, and token."""

    @cached_property
    def apis(self) -> dict[str | None, Opened]:
        """Every API by its key; by None the one API of a catalogue that has no other."""
        opened: dict[str | None, Opened] = {
            api.key: Opened(
                api=api,
                granted=Granted({scope.name: scope.grants for scope in api.scopes}),
                names=frozenset(scope.name for scope in api.scopes),
                limits=PerMinute(
                    api=api.limit_per_minute,
                    scopes={
                        scope.name: scope.limit_per_minute
                        for scope in api.scopes
                        if scope.limit_per_minute is not None
                    },
                ),
            )
            for api in self.facts.catalogue.apis
        }
        current = [api for api in self.facts.catalogue.apis if not api.retired]
        if len(current) == 1:
            opened[None] = opened[current[0].key]
        return opened

    def is_of(self, seen: Seen) -> bool:
        """Whether a look saw the same versions."""
        return (
            seen.keys_version == self.facts.keyring.version
            and seen.catalogue_version == self.facts.catalogue.version
        )

    def claims(self, token: str) -> Claims:
        """What a token signed by one of these keys says; raises InvalidToken.

        Kept by SHA-256, so that a dump of memory shows no usable token.
        """
        if len(token) > MAX_TOKEN or not token.isascii():
            raise InvalidToken(MALFORMED, detail="too long, or not ASCII")
        digest = sha256(token.encode("ascii")).digest()
        claims = self._claims.get(digest)
        if claims is None:
            claims = verified(token, self.keys, self._issuer)
            self._claims.put(digest, claims)
        return claims


class LiveChecks:
    """The online checks of one process, in its event loop."""

    def __init__(self, store: StandingStore, load: Callable[[], Known]) -> None:
        """`load` reads catalogue and keys; it may block."""
        self._store = store
        self._load = load
        self._known: Known | None = None
        self._loading: asyncio.Task[Known] | None = None
        self._waiting: deque[tuple[Question, asyncio.Future[Seen]]] = deque()
        self._looking: list[tuple[Question, asyncio.Future[Seen]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._backlog = Backlog(MAX_BATCH)
        self._looking_since: float | None = None

    async def check(self, token: str, caller: str | None = None) -> tuple[Claims, Seen, Known]:
        """A token that we signed and that has not expired, and the rows of its client now.

        Raises InvalidToken, TemporarilyUnavailable. Whoever honours the token has to ask
        `standing.refuse_fallen` first.
        """
        known = self._known or await self._renewed(None)
        for _ in range(3):
            try:
                claims = known.claims(token)
            except InvalidToken:
                # Signed with a key of after our last look? Only a look can tell.
                if not _names_unknown_key(token, known.keys):
                    raise
                seen = await self.look(Question(caller=caller))
                if known.is_of(seen):
                    raise
            else:
                seen = await self.look(Question(claims=claims, caller=caller))
                if known.is_of(seen):
                    claims.check_time(seen.now)
                    return claims, seen, known
            known = await self._renewed(known)
        raise TemporarilyUnavailable  # keys or catalogue keep changing under the check

    async def caller(self, client_id: str) -> tuple[Seen, Known]:
        """What is registered of a client now, with keys and catalogue of that moment."""
        known = self._known or await self._renewed(None)
        for _ in range(3):
            seen = await self.look(Question(caller=client_id))
            if known.is_of(seen):
                return seen, known
            known = await self._renewed(known)
        raise TemporarilyUnavailable

    async def api(self, key: str | None) -> Opened | None:
        """An API of the catalogue; one that is not there is looked for anew."""
        known = self._known or await self._renewed(None)
        if key not in known.apis and not known.is_of(await self.look(Question())):
            known = await self._renewed(known)
        return known.apis.get(key)

    async def look(self, question: Question) -> Seen:
        """The rows as they are after this call began.

        Raises TemporarilyUnavailable; Overloaded when too many wait.
        """
        waiting = len(self._waiting)
        if waiting >= MAX_WAITING or self._backlog.is_too_long(waiting, self._looking_since):
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Seen] = loop.create_future()
        self._waiting.append((question, future))
        if self._runner is None:
            # In no request's context: what it logs is of many.
            self._runner = loop.create_task(self._run(), context=Context())
        return await future

    @property
    def waiting(self) -> int:
        """How many checks wait for the next look."""
        return len(self._waiting)

    async def close(self) -> None:
        """Answer nobody any more."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait((self._runner,), timeout=1)
        await self._store.close()

    async def _run(self) -> None:
        """Look until nobody waits. All that join during a look share the next."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                count = min(len(self._waiting), MAX_BATCH)
                self._looking = batch = [self._waiting.popleft() for _ in range(count)]
                self._deadline = loop.call_later(BUDGET_S, self._give_up)
                begun = self._looking_since = time.monotonic()
                try:
                    outcomes: Sequence[Seen | Exception] = await self._store.look(
                        [question for question, _ in batch]
                    )
                except DatabaseUnavailable as fault:
                    _log.warning("online checks answer 503: %s", fault)
                    outcomes = [TemporarilyUnavailable()] * count
                except Exception:  # noqa: BLE001  (the next batch is another)
                    _log.exception("a batch of online checks failed")
                    outcomes = [TemporarilyUnavailable()] * count
                finally:
                    self._deadline.cancel()
                _deliver(batch, outcomes)
                self._backlog.took(time.monotonic() - begun)
        finally:
            self._runner = None
            self._looking_since = None
            self._looking = []

    def _give_up(self) -> None:
        """A look over its budget: whoever waits gets 503, and the connection is abandoned.

        Again and again until the look ends: to connect can take longer than anybody may wait.
        """
        self._deadline = asyncio.get_running_loop().call_later(BUDGET_S, self._give_up)
        late = [*self._looking, *self._waiting]
        self._waiting.clear()
        _deliver(late, [TemporarilyUnavailable()] * len(late))
        self._store.abandon()

    async def _renewed(self, stale: Known | None) -> Known:
        """Catalogue and keys as they are now; of many that ask at once, one reads."""
        if self._known is not stale and self._known is not None:
            return self._known
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        loading = self._loading
        done, _ = await asyncio.wait((loading,), timeout=BUDGET_S)
        if not done:
            raise TemporarilyUnavailable
        try:
            self._known = loading.result()
        except DatabaseUnavailable as fault:
            _log.warning("online checks answer 503: %s", fault)
            raise TemporarilyUnavailable from fault
        return self._known


def _deliver(
    batch: Sequence[tuple[Question, asyncio.Future[Seen]]], outcomes: Sequence[Seen | Exception]
) -> None:
    for (_, future), outcome in zip(batch, outcomes, strict=True):
        if future.done():
            continue  # the caller went away, or the budget was spent
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _names_unknown_key(token: str, keys: PublicKeys) -> bool:
    try:
        _, kid = read_header(token)
    except BadSignature:
        return False
    return kid not in keys
