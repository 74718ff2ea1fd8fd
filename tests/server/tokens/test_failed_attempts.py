"""Budgets of failures by themselves: when they are filled again, and how many there can be."""

import pytest
from decisions import CLIENT

from hourpass.oauth.errors import (
    ClientExpired,
    InvalidClient,
    InvalidRequest,
    OAuthError,
    TooManyAttempts,
)
from hourpass.server.tokens.exchange import Refused
from hourpass.server.tokens.failures import MOST, PER_BLOCK, PER_CLIENT, FailureBudgets


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failed(ip: str = "192.0.2.1", named: str = CLIENT.client_id) -> Refused:
    """A failed attempt."""
    return Refused(InvalidClient(detail="wrong_secret"), None, ip, "r-1", named=named)


def statuses(budgets: FailureBudgets, *attempts: Refused) -> list[int]:
    """What each is answered."""
    return [budgets.answer_to(attempt).status for attempt in attempts]


@pytest.mark.spec("contract", "HTTP", "one bad secret is two failures, and must not lock anyone")
def test_a_budget_is_full_again_after_its_minute() -> None:
    """Retry-After says when, also to a caller who never leaves off."""
    clock = Clock()
    budgets = FailureBudgets(clock)
    assert statuses(budgets, *[failed()] * PER_CLIENT) == [401] * PER_CLIENT
    clock.now += 20.5
    spent = budgets.answer_to(failed())
    assert isinstance(spent, TooManyAttempts)
    assert spent.retry_after_s == 40
    for _ in range(39):
        clock.now += 1
        assert budgets.answer_to(failed()).status == 429
    clock.now += 0.5
    assert statuses(budgets, failed()) == [401]


def test_addresses_are_counted_by_block() -> None:
    """An IPv6 caller has 2^64 addresses; an IPv4 one may come mapped."""
    budgets = FailureBudgets(Clock())
    many = [failed(f"2001:db8::{number:x}") for number in range(PER_CLIENT)]
    assert set(statuses(budgets, *many)) == {401}
    assert statuses(budgets, failed("2001:db8::ffff:1"), failed("2001:db8:0:1::1")) == [429, 401]
    assert set(statuses(budgets, *[failed("192.0.2.7")] * PER_CLIENT)) == {401}
    assert statuses(budgets, failed("::ffff:192.0.2.7"), failed("192.0.2.8")) == [429, 401]


def test_a_client_that_fails_for_ever_leaves_its_neighbours_theirs() -> None:
    """What is answered 429 for one client does not use up the block's budget."""
    budgets = FailureBudgets(Clock())
    statuses(budgets, *[failed()] * 10 * PER_BLOCK)

    others = [failed(named=f"m2m_{number:020}") for number in range(PER_BLOCK)]

    left = PER_BLOCK - PER_CLIENT
    assert statuses(budgets, *others) == [401] * left + [429] * PER_CLIENT


@pytest.mark.parametrize("error", [ClientExpired(), InvalidRequest("twice")])
def test_only_a_failed_proof_counts(error: OAuthError) -> None:
    """Other refusals are answered as they are, for ever."""
    budgets = FailureBudgets(Clock())
    refusal = Refused(error, CLIENT, "192.0.2.1", "r-1", named=CLIENT.client_id)

    assert all(budgets.answer_to(refusal) is error for _ in range(2 * PER_BLOCK))
    assert len(budgets) == 0


@pytest.mark.spec("threats", "23", "limiter … memory is bounded however many IDs are tried")
def test_there_are_never_more_than_so_many_budgets() -> None:
    """Whoever has very many addresses makes us forget old budgets, and gets nothing else by it."""
    budgets = FailureBudgets(Clock())
    for number in range(2 * MOST):
        ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        budgets.answer_to(failed(ip, named=f"m2m_{number:020}"))
        assert len(budgets) <= MOST
    assert len(budgets) >= MOST // 2
