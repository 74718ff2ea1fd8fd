"""The metrics port as Prometheus sees it."""

import time
from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Metrics:
    """The metrics port of a server under test."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.setting = {"HOURPASS_METRICS_PORT": str(port)}

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        """What the port answers."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, timeout=15, trust_env=False)

    def text(self) -> str:
        """A scrape as it is sent."""
        answer = self.get("/metrics")
        assert answer.status_code == 200
        return answer.text

    def samples(self) -> Samples:
        """A scrape, by name and labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """One sample now; -1 when there is none."""
        return self.samples().get((name, frozenset(labels.items())), -1.0)

    def becomes(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until a sample has this value: batches are counted after their answers."""
        until(lambda: self.value(name, **labels) == wanted)


def until(truth: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
