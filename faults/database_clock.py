"""PostgreSQL's clock jumps, which is the one that counts: by libfaketime in its processes alone."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator

import httpx

from faults.clock import DAY, HOUR, Clock, cannot_verify, without_times
from faults.load import Load
from faults.outcome import Outcome
from faults.scene import Scene, serving
from support.installation import Credentials, Installation, Server

_JUMPS = {
    "an hour forward": HOUR,
    "an hour back": 0,
    "a day back": -DAY,
    "and is right again": 0,
}
_LEFT_S = HOUR // 2  # what a client has left to live when the clock begins to jump
_AWRY_S = 3.0
_TIMES = 10
_MOMENT_S = 0.4
_ASKING = 3  # threads
_PAUSE_S = 0.05


def jumps(scene: Scene) -> Iterator[Outcome]:
    """An hour forward, an hour back, a day back, and right again; under load, and beside a client
    that expires meanwhile, by that clock.

    What a node last saw of the clock is wrong only until its next commit, so first there are many
    jumps: some of them meet a request of that client there.
    """
    clock = Clock(scene.new_folder())
    with scene.postgres(below=clock.environ) as (installation, _):
        clock.jump(_LEFT_S - DAY)
        expiring = installation.create_client("customers:read", expires_in_days=1)
        clock.jump(0)
        load = Load(installation)
        with serving(installation) as server:
            tokens = _Tokens(server)
            asking = _Asking(server.url, expiring, _expiry(installation, expiring))
            with load.on(server.url), asking.on():
                tokens.take("when it was right", clock_off_s=0)
                problems: list[str] = []
                scene.say("PostgreSQL: the database's clock jumps to and fro")
                for offset in (HOUR, 0) * _TIMES:
                    clock.jump(offset)
                    time.sleep(_MOMENT_S)
                for jump, offset in _JUMPS.items():
                    scene.say(f"PostgreSQL: the database's clock jumps {jump}")
                    clock.jump(offset)
                    time.sleep(_AWRY_S)
                    load.wait_until_well()
                    tokens.take(jump, clock_off_s=offset)
                    problems += tokens.problems(offset)
                    problems += asking.problems(is_over=offset >= _LEFT_S)
                problems.append(cannot_verify(server))
            yield without_times(
                "the database's clock jumps an hour forward and back, "
                f"{_TIMES + 1} times, a day back, and is right again",
                "PostgreSQL",
                load,
                server,
                recovery="by itself; while the clock is wrong, online checks refuse the tokens "
                "of before, and take them once it is right",
                problem="; ".join(filter(None, problems)),
            )


def _expiry(installation: Installation, credentials: Credentials) -> float:
    """In seconds of the database's clock."""
    at = installation.stored(credentials.client_id).expires_at
    assert at is not None
    return at.timestamp()


class _Tokens:
    """Tokens taken by the clock at different times, and what an API is told of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = server.installation.create_client("customers:read")
        self._api = server.installation.create_client("hourpass.introspect:bookings")
        self._taken: list[tuple[str, str, float]] = []
        self._off: list[str] = []

    def take(self, when: str, *, clock_off_s: int) -> None:
        """One more; its `iat` has to be by the database's clock."""
        token = self._server.token(self._client).json()["access_token"]
        issued_at = _claims(token)["iat"]
        off = issued_at - time.time() - clock_off_s
        if abs(off) > _AWRY_S:
            self._off.append(f'a token of "{when}" was issued {off:.0f} s off that clock')
        self._taken.append((when, token, issued_at))

    def problems(self, clock_off_s: int) -> Iterator[str]:
        """Those that are live and should not be by the clock as it is now, or the other way."""
        yield from self._off
        self._off = []
        for when, token, issued_at in self._taken:
            answer = self._server.http.post(
                "/introspect", data={"token": token}, headers=self._api.basic
            )
            age = time.time() + clock_off_s - issued_at
            should = -60 <= age < HOUR
            if answer.status_code != 200 or answer.json()["active"] is not should:
                yield f'a token of "{when}", {age:.0f} s old, is told to be {answer.text}'


class _Asking:
    """A client that asks for tokens without end, also when it has expired."""

    def __init__(self, url: str, credentials: Credentials, expires_at: float) -> None:
        self._url = url
        self._credentials = credentials
        self._expires_at = expires_at
        self._last = ""
        self._wrong: list[str] = []
        self._is_over = threading.Event()

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """While the block lasts."""
        threads = [threading.Thread(target=self._ask) for _ in range(_ASKING)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def problems(self, *, is_over: bool) -> Iterator[str]:
        """What came that should not; `is_over`: it should have expired by now."""
        yield from self._wrong[:3]
        self._wrong.clear()
        if self._last != ("expired" if is_over else "200"):
            yield f"a client that {'has expired' if is_over else 'is active'} gets {self._last}"

    def _ask(self) -> None:
        form = {"grant_type": "client_credentials"}
        with httpx.Client(base_url=self._url, timeout=5, trust_env=False) as http:
            # While it gets tokens it always waits for one: also when the clock jumps.
            while not self._is_over.wait(0 if self._last == "200" else _PAUSE_S):
                try:
                    answer = http.post("/token", data=form, headers=self._credentials.basic)
                except httpx.TransportError as fault:
                    self._last = type(fault).__name__
                    continue
                self._last = answer.json().get("reason", str(answer.status_code))
                if answer.status_code == 200:
                    issued_at = _claims(answer.json()["access_token"])["iat"]
                    late = issued_at - self._expires_at
                    if late >= 0:
                        self._wrong.append(f"a token {late:.0f} s after its client had expired")
                elif answer.status_code not in (401, 503):
                    self._wrong.append(f"{answer.status_code} for a client that expires")


def _claims(token: str) -> dict[str, int]:
    claims: dict[str, int] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims
