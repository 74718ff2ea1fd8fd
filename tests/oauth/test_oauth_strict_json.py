"""JSON that everybody reads alike; anything else is refused by one kind of exception."""

import contextlib
import itertools
import json
import sys
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hourpass.oauth.strict_json import MAX_DEPTH, RepeatedName, loads

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_FINITE = _LEAVES.filter(lambda leaf: leaf not in (float("inf"), float("-inf")))


@given(
    st.recursive(
        _FINITE.filter(lambda leaf: not isinstance(leaf, str) or leaf.isprintable()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_what_was_written_is_read(value: object) -> None:
    """As long as it does not nest too deeply, which eight leaves cannot."""
    assert loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=60) | st.text('{}[]":,\\ud8NaInfty-0e9', max_size=60).map(str.encode))
def test_nothing_but_a_value_error_comes_out(octets: bytes) -> None:
    """Whatever goes in."""
    with contextlib.suppress(ValueError):
        loads(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b'"\\ud800"',
        b'{"a":"\\udfff"}',
        b'{"a":1}x',
        b"[" * 5000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
    ],
)
def test_what_others_read_in_another_way_is_refused(octets: bytes) -> None:
    """Or not at all."""
    with pytest.raises(ValueError):
        loads(octets)


def test_a_name_that_occurs_twice_has_an_error_of_its_own() -> None:
    """At any depth; the same name in two objects is fine."""
    for octets in (b'{"a":1,"a":1}', b'[{"b":{"a":1,"\\u0061":2}}]'):
        with pytest.raises(RepeatedName):
            loads(octets)
    assert loads(b'{"a":{"a":1}}') == {"a": {"a": 1}}


def test_the_deepest_that_is_read() -> None:
    """Braces in a text do not count."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert loads(json.dumps("[" * 100).encode()) == "[" * 100


@pytest.mark.parametrize("open_, close", [(b"[", b"]"), (b'{"a":', b"}")])
def test_no_depth_is_anything_but_a_value_error(open_: bytes, close: bytes) -> None:
    """Of arrays or objects, with an escape, however little of the stack is left to read it."""
    limit = sys.getrecursionlimit()
    for depth in (*range(MAX_DEPTH + 1, limit + 50, 7), *range(limit - 120, limit + 20)):
        with pytest.raises(ValueError):
            loads(open_ * depth + b'"\\u0041"' + close * depth)
    most = next(n for n in itertools.count(limit, -1) if _is_within_the_stack(n))
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, 60):
        octets = open_ * depth + b'"\\u0041"' + close * depth
        for left in range(2, 150):
            with contextlib.suppress(ValueError):
                _below(most - left, partial(loads, octets))


def _below(frames: int, call: Callable[[], object]) -> object:
    """Call it with so many frames above it."""
    return _below(frames - 1, call) if frames > 0 else call()


def _is_within_the_stack(frames: int) -> bool:
    try:
        _below(frames, lambda: None)
    except RecursionError:
        return False
    return True
