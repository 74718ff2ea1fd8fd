"""What fuzzing found stays found: every file of the corpus, and a little fuzzing of its own."""

from pathlib import Path

import pytest
from fuzz.targets import TARGETS, seeds
from hypothesis import given
from hypothesis import strategies as st

from hourpass.server.tokens import authenticate

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_findings_and_seeds_keep_every_promise(name: str) -> None:
    """No file that ever broke a target breaks it again."""
    found = [path.read_bytes() for path in sorted(CORPUS.glob(f"{name}/*"))]

    for octets in [*seeds(name), *found]:
        TARGETS[name](octets)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_a_good_input_with_a_few_octets_changed_keeps_them_too(
    name: str, data: st.DataObject
) -> None:
    """Bytes replaced, inserted and cut out in an input that gets past the first checks."""
    octets = bytearray(data.draw(st.sampled_from(seeds(name))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(octets)))
        octets[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    TARGETS[name](bytes(octets))


def test_a_target_fails_when_a_promise_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that lets a foreign exception out is noticed."""
    monkeypatch.setattr(authenticate, "_form", lambda body: {"grant_type": body["x"]})

    with pytest.raises(TypeError):
        TARGETS["form"](b"grant_type=client_credentials")
