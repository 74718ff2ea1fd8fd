"""What a verifier remembers of the tokens that it has verified: bounded, quick to ask.

A memory belongs to the keys that its verdicts were made with, and goes with them: so no
verdict can outlive its key, whatever other threads do.
"""

from threading import Lock

from hourpass.resource_server.claims import AccessToken

MAX_REMEMBERED = 10_000

Verdict = tuple[float, AccessToken]
"""When a token expires, in epoch seconds, and what it says."""


class Memory:
    """Verdicts by the Authorization header that brings the token, spelled `Bearer <token>`.

    By its text and no digest of it, which would cost more than all else. Bounded: when the
    young half is full it becomes the old one, and what was in that is forgotten. So a look
    needs no lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.young: dict[str, Verdict] = {}
        """The verdicts that were made or asked for lately: look here first."""
        self._old: dict[str, Verdict] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def older(self, credentials: str) -> Verdict | None:
        """A verdict that is not among the young; it is one of them from now on."""
        verdict = self._old.get(credentials)
        if verdict is not None:
            self.put(credentials, verdict)
        return verdict

    def put(self, credentials: str, verdict: Verdict) -> None:
        """Remember this verdict."""
        with self._lock:
            if len(self.young) >= MAX_REMEMBERED // 2:
                self._old, self.young = self.young, {}
            self.young[credentials] = verdict
