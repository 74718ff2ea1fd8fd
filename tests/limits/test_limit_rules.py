"""Which rules a request has, and what its answer says of them."""

import pytest

from hourpass.limits import MAX_PER_MINUTE, PerMinute, Rule, Verdict

API = "https://api.example.com"
ANN = "m2m_0123456789abcdefghjk"


def numbers(limits: PerMinute, *granted_by: str, own: int | None = None) -> dict[str, int]:
    """The rules of Ann's request, by the names that the headers have."""
    rules = limits.rules(API, ANN, granted_by, own)
    return {rule.policy: rule.per_minute for rule in rules}


def test_without_limits_there_is_nothing_to_do() -> None:
    """No rule: nobody counts, and no header is sent."""
    assert PerMinute().rules(API, ANN, ["bookings:read"]) == ()


def test_a_clients_own_limit_takes_the_place_of_the_apis() -> None:
    """Be it smaller or larger, and wherever it comes from."""
    limits = PerMinute(api=600, clients={ANN: 60})
    assert numbers(PerMinute(api=600)) == {"client": 600}
    assert numbers(limits) == {"client": 60}
    assert numbers(PerMinute(api=600), own=5000) == {"client": 5000}
    assert numbers(PerMinute(), own=7) == {"client": 7}
    assert {rule.policy for rule in limits.rules(API, "another")} == {"client"}
    assert limits.rules(API, "another")[0].per_minute == 600


def test_the_most_generous_scope_counts() -> None:
    """Who holds one more scope may never do less."""
    limits = PerMinute(scopes={"a:read": 10, "b:read": 20, "c:read": 20})
    assert numbers(limits, "a:read") == {"scope:a:read": 10}
    assert numbers(limits, "a:read", "b:read") == {"scope:b:read": 20}
    assert numbers(limits, "c:read", "b:read") == {"scope:b:read": 20}
    assert numbers(limits, "a:read", "free:read") == {}
    assert numbers(limits) == {}


def test_each_client_api_and_scope_is_counted_apart() -> None:
    """No two of them have a key in common."""
    limits = PerMinute(api=1, scopes={"a:read": 1})
    keys = [
        rule.key
        for api in (API, "https://billing.example.com")
        for client in (ANN, "another")
        for rule in limits.rules(api, client, ["a:read"])
    ]
    assert len(set(keys)) == len(keys) == 8


@pytest.mark.parametrize("number", [0, -1, MAX_PER_MINUTE + 1, True, 1.0, "60"])
def test_what_cannot_be_a_limit_is_refused(number: object) -> None:
    """Wherever it stands."""
    for limits in ({"api": number}, {"clients": {ANN: number}}, {"scopes": {"a:read": number}}):
        with pytest.raises(ValueError, match="a limit is 1 to 1000000 requests a minute"):
            PerMinute(**limits)


def test_the_headers_name_quota_window_rest_and_reset() -> None:
    """draft-ietf-httpapi-ratelimit-headers: one item for each rule, in both headers."""
    rules = PerMinute(api=600, scopes={"bookings:read": 100}).rules(API, ANN, ["bookings:read"])
    verdict = Verdict(rules, allowed=True, used=(588, 1), resets_in=(33.2, 60.0))

    assert dict(verdict.headers) == {
        "ratelimit-policy": '"client";q=600;w=60, "scope:bookings:read";q=100;w=60',
        "ratelimit": '"client";r=12;t=34, "scope:bookings:read";r=99;t=60',
    }


def test_a_refusal_says_when_all_that_refuse_allow_again() -> None:
    """The latest of them; a rule that would allow does not delay. Never `Retry-After: 0`."""
    one, two, three = (Rule(policy=name, per_minute=5, key=(name,)) for name in "abc")
    verdict = Verdict((one, two, three), allowed=False, used=(5, 9, 4), resets_in=(10, 20.001, 60))

    assert verdict.retry_after == 21
    assert dict(verdict.headers)["retry-after"] == "21"
    assert '"b";r=0;t=21' in dict(verdict.headers)["ratelimit"]
    soon = Verdict((one,), allowed=False, used=(5,), resets_in=(0.0,))
    assert dict(soon.headers)["retry-after"] == "1"
