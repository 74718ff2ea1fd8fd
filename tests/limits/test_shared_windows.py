"""Windows in a real Valkey or Redis: the same answers, and one limit for all processes."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from limit_model import Model, rules_of_a_call

from hourpass.limits import PerMinute, Rule, Verdict
from hourpass.limits.shared import SharedWindows, StoreAway, store_key
from support.valkey import Valkey


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server for all tests here, with a password."""
    running = Valkey(tmp_path_factory.mktemp("valkey"), password="hunter2")
    yield running
    running.kill()


@pytest.fixture
def windows(valkey: Valkey) -> Iterator[SharedWindows]:
    """Connected to it."""
    made = SharedWindows(valkey.url)
    yield made
    made.close()


@pytest.fixture
def inside(valkey: Valkey) -> Iterator["redis.Redis"]:
    """A look into the server itself."""
    client = redis.Redis.from_url(valkey.url)
    yield client
    client.close()


def take(windows: SharedWindows, rules: Sequence[Rule]) -> Verdict:
    """One request by itself; raises what the store says instead."""
    (verdict,) = windows.take([rules])
    if isinstance(verdict, StoreAway):
        raise verdict
    return verdict


def a_rule(limit: int, *key: str) -> Rule:
    """A rule for this key."""
    return Rule(policy="client", per_minute=limit, key=key)


def test_a_refused_call_is_counted_by_no_rule(valkey: Valkey) -> None:
    """Any calls by any rules: as the model says, each of them."""
    windows, examples = SharedWindows(valkey.url), count()

    @settings(max_examples=50)
    @given(st.lists(rules_of_a_call(), max_size=30))
    def as_the_model_says(calls: list[tuple[Rule, ...]]) -> None:
        model, example = Model(), f"example {next(examples)}"
        for rules in calls:
            here = [a_rule(rule.per_minute, example, *rule.key) for rule in rules]
            verdict = take(windows, here)
            assert verdict.allowed == model.take(rules)
            assert verdict.used == tuple(model.count(rule) for rule in rules)
            assert all(58 < left <= 60 for left in verdict.resets_in)

    as_the_model_says()
    windows.close()


def test_the_next_window_begins_when_one_is_over(
    windows: SharedWindows, inside: "redis.Redis"
) -> None:
    """The store's clock ends it; a key that lost its expiry is no window either."""
    rule = a_rule(2, "api", uuid4().hex)
    assert [take(windows, [rule]).allowed for _ in range(3)] == [True, True, False]
    inside.pexpire(store_key(rule.key), 1)
    while inside.exists(store_key(rule.key)):
        pass
    assert take(windows, [rule]).used == (1,)
    inside.persist(store_key(rule.key))
    assert take(windows, [rule]).used == (1,)
    assert 0 < int(str(inside.pttl(store_key(rule.key)))) <= 60_000


@pytest.mark.spec("threats", "23", "limiter memory is bounded however many IDs are tried")
def test_every_key_expires_and_a_refused_call_makes_none(
    windows: SharedWindows, inside: "redis.Redis"
) -> None:
    """The rule that would allow has no key yet when another refuses."""
    inside.flushall()
    rules = PerMinute(api=9, scopes={"a:read": 1}).rules("api", "ann", ["a:read"])
    take(windows, [rules[1]])
    assert not take(windows, rules).allowed
    assert list(inside.keys()) == [b"hourpass:limit:{api:ann}:a%3Aread"]
    take(windows, [rules[0]])
    for key in inside.scan_iter():
        assert 0 < int(str(inside.pttl(key))) <= 60_000


def test_requests_that_share_a_round_trip_are_each_decided(
    windows: SharedWindows, inside: "redis.Redis"
) -> None:
    """In order, and none by another's fault; also when the store has forgotten the script."""
    client = uuid4().hex
    bad, good = a_rule(3, "api", client, "bad"), a_rule(3, "api", client)
    inside.lpush(store_key(bad.key), "x")
    inside.script_flush()

    verdicts = windows.take([[good], [good], [bad], [good], [good]])

    told = [it.allowed if isinstance(it, Verdict) else str(it)[:14] for it in verdicts]
    assert told == [True, True, "ResponseError:", True, False]
    assert windows.take([]) == []


ONE_PROCESS = """
import json, sys
from hourpass.limits import Limiter, PerMinute
limiter = Limiter(sys.argv[1])
rules = PerMinute(api=500, scopes={"a:read": 400}).rules("api", sys.argv[2], ["a:read"])
print(json.dumps([limiter.take(rules).allowed for _ in range(300)]))
limiter.close()
"""


@pytest.mark.spec(
    "contract", "Settings", "HOURPASS_LIMITS_URL unset: limits in memory of each process"
)
def test_two_processes_hold_one_limit_exactly(valkey: Valkey) -> None:
    """600 calls of two processes at once, 400 allowed: not one more, not one less."""
    client = uuid4().hex
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS, valkey.url, client], stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    passed = [json.loads(process.communicate(timeout=30)[0]) for process in running]
    assert sum(map(sum, passed)) == 400
    assert all(any(each) for each in passed)


def test_what_another_program_wrote_there_is_a_fault_of_the_store(
    windows: SharedWindows, inside: "redis.Redis"
) -> None:
    """Not of the request; the store's words are in it, without the password."""
    rule = a_rule(5, "api", uuid4().hex)
    inside.lpush(store_key(rule.key), "x")
    with pytest.raises(StoreAway, match="WRONGTYPE"):
        take(windows, [rule])
    wrong = SharedWindows("redis://:hunter3@127.0.0.1:" + str(inside_port(inside)))
    with pytest.raises(StoreAway) as refused:
        take(wrong, [rule])
    assert "hunter" not in str(refused.value)
    wrong.close()


def inside_port(client: "redis.Redis") -> int:
    """Where that client is connected to."""
    port: int = client.get_connection_kwargs()["port"]
    return port


@given(st.lists(st.text(), min_size=2, max_size=3), st.lists(st.text(), min_size=2, max_size=3))
def test_no_two_clients_have_a_key_in_common(one: list[str], two: list[str]) -> None:
    """Whatever their IDs are, and nothing in them has a meaning to the store."""
    key = store_key(one)
    assert (key == store_key(two)) == (one == two)
    assert key.isascii() and key.isprintable() and " " not in key
    assert key.count("{") == key.count("}") == 1
    assert len(key) < 340


def test_a_long_id_is_told_by_its_digest(tmp_path: Path) -> None:
    """No client makes the store keep kilobytes; an ID that looks like a digest is another."""
    long = store_key(["api", "x" * 5000])
    assert len(long) < 120
    digest = long.removeprefix("hourpass:limit:{api:").removesuffix("}")
    assert digest.startswith("sha256=")
    assert store_key(["api", digest]) != long
