"""Requests a second of several contestants, in turns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import load
from bench.contestants import Contestant


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, CPU time each, and how many of them failed."""

    rps: float
    p99_ms: float
    cpu_us: float
    failed: int


Rates = dict[str, Rate]


def in_turns(
    contestants: Mapping[str, tuple[Contestant, Path]],
    connections: int,
    *,
    rounds: int,
    seconds: int,
) -> Rates:
    """Each with the requests of its file, round after round; medians."""
    taken: dict[str, list[Rate]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, (contestant, requests) in contestants.items():
            before = contestant.cpu_s()
            measured = load.send(
                contestant.url, requests, connections=connections, seconds=seconds if number else 1
            )
            cpu_us = (contestant.cpu_s() - before) / max(measured.requests, 1) * 1e6
            failed = measured.non200 + measured.errors
            if number:  # the first round only warms up
                taken[name].append(Rate(measured.rps, measured.p99_ms, cpu_us, failed))
    return {
        name: Rate(
            rps=median(rate.rps for rate in rates),
            p99_ms=median(rate.p99_ms for rate in rates),
            cpu_us=median(rate.cpu_us for rate in rates),
            failed=sum(rate.failed for rate in rates),
        )
        for name, rates in taken.items()
    }
