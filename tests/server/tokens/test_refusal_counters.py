"""Refusals on record: the first of a minute, then one sum; bounded, and exact."""

from datetime import timedelta

import pytest
from decisions import CLIENT, NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hourpass.oauth.errors import ClientSuspended, InvalidClient, OAuthError
from hourpass.server.audit.events import Event
from hourpass.server.clients.model import Client
from hourpass.server.tokens.exchange import Refused
from hourpass.server.tokens.refusals import MAX_OPEN, RefusalCounters, address_block

SECOND = timedelta(seconds=1)
MINUTE = timedelta(seconds=60)


def refused(
    client: Client | None = None, detail: str = "wrong_secret", ip: str = "192.0.2.1"
) -> Refused:
    """One refusal."""
    return Refused(InvalidClient(detail=detail), client, ip, "r-1")


@pytest.mark.spec("contract", "Audit events", "the first of a minute for (…) is a row")
def test_the_first_is_an_event_and_the_rest_of_the_minute_is_one_more() -> None:
    """With how many there were, the first of them and the last."""
    counters = RefusalCounters()

    first = counters.note(refused(CLIENT), NOW)
    later = [counters.note(refused(CLIENT), NOW + SECOND * n) for n in (1, 2, 59)]
    counters.written()

    assert first is not None
    assert first.event is Event.TOKEN_REFUSED
    assert (first.client_id, first.client_name) == (CLIENT.client_id, "Sync")
    assert first.organization == "default"
    assert first.origin.actor.id == CLIENT.client_id
    assert (first.origin.ip, first.origin.request_id) == ("192.0.2.1", "r-1")
    assert first.detail == {"reason": "wrong_secret", "address_block": "192.0.2.1/32"}
    assert later == [None, None, None]
    assert counters.due(NOW + MINUTE - SECOND) == []
    (total,) = counters.due(NOW + MINUTE)
    assert total.detail == {
        "reason": "wrong_secret",
        "address_block": "192.0.2.1/32",
        "count": 3,
        "first_at": "2026-02-24T12:00:01.000000Z",
        "last_at": "2026-02-24T12:00:59.000000Z",
    }
    assert (total.client_id, total.origin.actor) == (CLIENT.client_id, first.origin.actor)
    assert total.origin.request_id is None


def test_a_minute_with_one_refusal_has_no_sum() -> None:
    """The event says it all; the next refusal is a first again."""
    counters = RefusalCounters()
    counters.note(refused(), NOW)
    counters.written()

    assert counters.due(NOW + MINUTE) == []
    counters.forget(NOW + MINUTE)
    assert len(counters) == 0
    assert counters.note(refused(), NOW + MINUTE) is not None


def test_a_sum_that_is_not_written_yet_goes_on_counting() -> None:
    """The database was away at the end of the minute: no second first, and no count lost."""
    counters = RefusalCounters()
    counters.note(refused(), NOW)
    counters.note(refused(), NOW + SECOND)

    assert counters.note(refused(), NOW + MINUTE * 5) is None

    (total,) = counters.due(NOW + MINUTE * 5)
    assert total.detail["count"] == 2
    assert total.detail["last_at"] == "2026-02-24T12:05:00.000000Z"


def test_a_minute_is_over_as_well_when_the_clock_is_set_back() -> None:
    """Or all would be counted in memory alone until it is that late again."""
    counters = RefusalCounters()
    counters.note(refused(), NOW)
    counters.note(refused(), NOW)

    assert counters.due(NOW - SECOND) == []
    earlier = NOW - MINUTE * 60
    (total,) = counters.due(earlier)
    counters.forget(earlier)

    assert total.detail["count"] == 1
    assert counters.note(refused(), earlier) is not None


def test_each_kind_has_its_own_first() -> None:
    """Client or none, reason, and address block tell kinds apart; nothing else does."""
    counters = RefusalCounters()
    kinds = [
        refused(),
        refused(CLIENT),
        refused(detail="malformed"),
        refused(ip="192.0.2.2"),
        refused(ip="2001:db8::1"),
        refused(ip="2001:db8:0:1::1"),
        refused(ip=""),
        Refused(ClientSuspended(), CLIENT, "192.0.2.1", "r-1"),
    ]
    same = [
        Refused(InvalidClient(detail="wrong_secret"), None, "192.0.2.1", "r-2"),
        refused(ip="::ffff:192.0.2.1"),
        refused(ip="2001:db8::ffff:1"),
        refused(ip="not an address"),
    ]

    assert all(counters.note(kind, NOW) is not None for kind in kinds)
    assert [counters.note(other, NOW) for other in same] == [None] * 4
    assert len(counters) == len(kinds)


def test_who_is_unknown_is_nobody() -> None:
    """An event without a client ID, by a client without a name."""
    event = RefusalCounters().note(refused(detail="unknown_client"), NOW)

    assert event is not None
    assert (event.client_id, event.client_name, event.organization) == (None, None, None)
    assert (event.origin.actor.type, event.origin.actor.id) == ("client", "")


@pytest.mark.parametrize(
    ("ip", "block"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", ""),
        ("a\0b", ""),
    ],
)
def test_address_blocks(ip: str, block: str) -> None:
    """A household changes its IPv6 address within a /64."""
    assert address_block(ip) == block


@given(ip=st.text(max_size=40) | st.ip_addresses().map(str))
def test_any_text_has_a_block(ip: str) -> None:
    """Of a bounded length."""
    assert len(address_block(ip)) <= 50


@pytest.mark.spec("contract", "Audit events", "At most 1,000 open counters a process")
def test_past_a_thousand_kinds_all_others_share_one() -> None:
    """However many addresses a flood has, memory is bounded and no refusal goes uncounted."""
    counters = RefusalCounters()
    for number in range(MAX_OPEN):
        assert counters.note(refused(ip=f"10.0.{number >> 8}.{number & 255}"), NOW) is not None
    events = [counters.note(refused(ip=f"10.1.{n >> 8}.{n & 255}"), NOW) for n in range(5000)]

    assert MAX_OPEN == 1000
    assert len(counters) == MAX_OPEN + 1
    first, *rest = events
    assert first is not None
    assert first.detail == {"reason": "too_many_kinds", "address_block": ""}
    assert (first.client_id, first.origin.ip, first.origin.actor.type) == (None, None, "system")
    assert rest == [None] * 4999
    (total,) = counters.due(NOW + MINUTE)
    assert total.detail["count"] == 4999
    counters.forget(NOW + MINUTE)
    assert len(counters) == 0


def test_known_kinds_count_on_when_the_counters_are_full() -> None:
    """A flood of other kinds does not hide them."""
    counters = RefusalCounters()
    counters.note(refused(CLIENT), NOW)
    for number in range(2 * MAX_OPEN):
        counters.note(refused(ip=f"10.0.{number >> 8}.{number & 255}"), NOW)

    counters.note(refused(CLIENT), NOW)

    known, others = counters.due(NOW + MINUTE)
    assert (known.client_id, known.detail["count"]) == (CLIENT.client_id, 1)
    assert (others.client_id, others.detail["count"]) == (None, MAX_OPEN)


def test_a_first_that_was_not_written_is_a_first_again() -> None:
    """Its commit failed: the next of the kind is the one on record."""
    counters = RefusalCounters()
    assert counters.note(refused(), NOW) is not None
    assert counters.note(refused(), NOW) is None
    counters.not_written()

    assert len(counters) == 0
    assert counters.note(refused(), NOW) is not None
    counters.written()
    counters.not_written()
    assert counters.note(refused(), NOW) is None


def test_refusals_of_a_failed_batch_are_not_counted() -> None:
    """Nobody was told of them: when they are decided again, they count once."""
    counters = RefusalCounters()
    counters.note(refused(), NOW)
    counters.note(refused(), NOW + SECOND)
    counters.written()

    for _ in range(3):
        counters.note(refused(), NOW + SECOND * 2)
        counters.note(refused(), NOW + SECOND * 3)
        counters.not_written()

    (total,) = counters.due(NOW + MINUTE)
    assert (total.detail["count"], total.detail["last_at"]) == (1, "2026-02-24T12:00:01.000000Z")


class Minutes(RuleBasedStateMachine):
    """Batches of refusals that are written or not, and minutes that end: all are accounted for."""

    def __init__(self) -> None:
        super().__init__()
        self.counters = RefusalCounters()
        self.now = NOW
        self.told = 0
        self.recorded = 0

    @rule(
        kinds=st.lists(st.integers(0, 3), max_size=5),
        written=st.booleans(),
        apart=st.sampled_from([timedelta(), SECOND, MINUTE]),
    )
    def batch(self, kinds: list[int], written: bool, apart: timedelta) -> None:
        self.now += apart
        events = [self.counters.note(refused(detail=f"kind-{kind}"), self.now) for kind in kinds]
        if written:
            self.counters.written()
            self.told += len(kinds)
            self.recorded += len([event for event in events if event is not None])
        else:
            self.counters.not_written()

    @rule(passed=st.sampled_from([SECOND, MINUTE]), everything=st.booleans())
    def sums(self, passed: timedelta, everything: bool) -> None:
        self.now += passed
        due = self.counters.due(self.now, everything=everything)
        self.recorded += sum(int(str(event.detail["count"])) for event in due)
        self.counters.forget(self.now, everything=everything)

    @invariant()
    def every_refusal_is_counted_once(self) -> None:
        open_sums = self.counters.due(self.now, everything=True)
        still_open = sum(int(str(event.detail["count"])) for event in open_sums)
        assert self.recorded + still_open == self.told


def test_every_refusal_that_was_told_is_counted_once() -> None:
    """As the first of its minute, or in a sum: none twice, none lost."""
    run_state_machine_as_test(Minutes, settings=settings(max_examples=50, stateful_step_count=20))


def test_a_reason_is_one_word_for_the_operator() -> None:
    """The detail where there is one, else what the caller is told."""
    assert refused(detail="malformed").reason == "malformed"
    assert Refused(ClientSuspended(), CLIENT, "", "").reason == "suspended"
    assert Refused(InvalidClient(), None, "", "").reason == "invalid_client"
    assert Refused(OAuthError(), None, "", "").reason == "server_error"


def test_a_single_further_refusal_is_its_own_first_and_last() -> None:
    """The sum begins with what comes after the first event."""
    counters = RefusalCounters()
    counters.note(refused(), NOW)
    counters.note(refused(), NOW + SECOND)

    (total,) = counters.due(NOW, everything=True)

    assert total.detail["first_at"] == total.detail["last_at"] == "2026-02-24T12:00:01.000000Z"
