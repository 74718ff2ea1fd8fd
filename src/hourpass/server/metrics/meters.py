"""What one process counts.

The commit thread reports whole batches. Single requests are counted in plain dicts, which are
carried over to the metrics once a second and before each scrape: so they cost a token nothing.

Import this only when metrics are wanted, and with several processes only after `shared` has set
the folder where they count together: prometheus_client reads it when it is loaded.
"""

import logging
import threading
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hourpass.server.routes import NAMES
from hourpass.server.tokens.commit import Outcome
from hourpass.server.tokens.exchange import Issued, Refused

EVERY_S = 1.0
UNWELL = "hourpass_processes_unwell"
REASONS = (
    "unknown_client",
    "wrong_secret",
    "malformed",
    "no_credentials",
    "suspended",
    "expired",
    "organization_suspended",
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
    "rate_limited",
    "temporarily_unavailable",
    "server_error",
)
OTHER = "other"
_ALERTED = ("500", "503")
"""The statuses whose growth raises an alert. Of a series that begins at 1 Prometheus knows no
growth, so these are there from the start, at 0."""
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2)
_CHECKS = {
    "verify": (
        "allowed",
        "invalid_token",
        "insufficient_scope",
        "invalid_request",
        "rate_limited",
        "temporarily_unavailable",
    ),
    "introspect": (
        "active",
        "inactive",
        "invalid_client",
        "invalid_request",
        "temporarily_unavailable",
    ),
}
_log = logging.getLogger(__name__)


class Meters:
    """The metrics of this process. One thread commits, one runs the event loop."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
        self.registry = registry = CollectorRegistry()
        self.responses: dict[tuple[str, int], int] = {}
        """How many requests of an endpoint were answered with a status; 0: with none."""
        self._issued = Counter("hourpass_tokens_issued", "Access tokens issued.", registry=registry)
        self._refused = Counter(
            "hourpass_refusals",
            "Requests with client credentials that were refused.",
            ["reason"],
            registry=registry,
        )
        self._batch = Histogram(
            "hourpass_commit_batch_size",
            "Requests that shared a commit.",
            buckets=_SIZES,
            registry=registry,
        )
        self._seconds = Histogram(
            "hourpass_commit_seconds",
            "How long a batch took: read, decide, write, commit.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._over_budget = Counter(
            "hourpass_commit_timeouts",
            "Commits given up because they took longer than 2 s.",
            registry=registry,
        )
        self._waiting = Gauge(
            "hourpass_queue_depth",
            "Requests that wait for the next commit or the next look.",
            ["queue"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._unwell = Gauge(
            UNWELL,
            "Processes of this node that answer no token request now; their logs say why.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._responses = Counter(
            "hourpass_http_responses",
            "Answers to requests.",
            ["endpoint", "status"],
            registry=registry,
        )
        self._checks = Counter(
            "hourpass_online_checks",
            "Tokens checked online.",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self._lock = threading.Lock()
        self._carried: dict[tuple[str, ...], int] = {}
        self._outcomes: Mapping[str, Mapping[str, int]] = {}
        self._queues: Mapping[str, Callable[[], int]] = {}
        self._fault: Callable[[], str] = str
        for reason in (*REASONS, OTHER):
            self._refused.labels(reason)
        for endpoint, outcomes in _CHECKS.items():
            for outcome in (*outcomes, OTHER):
                self._checks.labels(endpoint, outcome)
        for endpoint in NAMES:
            for status in _ALERTED:
                self._responses.labels(endpoint, status)
        self._responses.labels("token", "200")

    def watch(
        self,
        *,
        outcomes: Mapping[str, Mapping[str, int]],
        queues: Mapping[str, Callable[[], int]],
        fault: Callable[[], str],
    ) -> None:
        """Set what `carry_over` reads: outcomes of online checks by endpoint, lengths of queues,
        and why no token request can be answered (empty: they can).

        The tallies only grow, and only in the event loop's thread.
        """
        self._outcomes, self._queues, self._fault = outcomes, queues, fault
        self.carry_over()

    def batch(self, outcomes: Sequence[Outcome | Exception], seconds: float) -> None:
        """See `tokens.commit.Meter`."""
        try:
            refused = [outcome for outcome in outcomes if not isinstance(outcome, Issued)]
            self._batch.observe(len(outcomes))
            self._seconds.observe(seconds)
            self._issued.inc(len(outcomes) - len(refused))
            for reason, times in Tally(map(reason_of, refused)).items():
                self._refused.labels(reason).inc(times)
        except Exception:  # noqa: BLE001  (figures are worth less than the thread of all tokens)
            _log.exception("a batch could not be counted")

    def over_budget(self) -> None:
        """See `tokens.commit.Meter`."""
        self._over_budget.inc()

    def carry_over(self) -> None:
        """Add to the metrics what was counted since the last call."""
        with self._lock:
            self._unwell.set(bool(self._fault()))
            for queue, waiting in self._queues.items():
                self._waiting.labels(queue).set(waiting())
            for (endpoint, status), count in self.responses.copy().items():
                if status:
                    self._add(self._responses, count, endpoint, str(status))
            for endpoint, outcomes in self._outcomes.items():
                known: Tally[str] = Tally()
                for outcome, count in dict(outcomes).items():
                    known[outcome if outcome in _CHECKS[endpoint] else OTHER] += count
                for outcome, count in known.items():
                    self._add(self._checks, count, endpoint, outcome)

    def _add(self, counter: Counter, count: int, *labels: str) -> None:
        grown = count - self._carried.get(labels, 0)
        if grown:
            counter.labels(*labels).inc(grown)
            self._carried[labels] = count


def reason_of(outcome: Outcome | Exception) -> str:
    """One of `REASONS`, or `other`: a class of error may say more than that."""
    if isinstance(outcome, Refused):
        error = outcome.error
        words: tuple[str | None, ...] = (error.detail, error.reason, error.code)
    else:
        words = (getattr(outcome, "code", None),)
    return next((word for word in words if word in REASONS), OTHER)
