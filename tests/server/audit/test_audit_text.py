"""Text from outside becomes text: nothing in it acts on a row, a log line or a terminal."""

import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hourpass.server.audit.events import Event, printable, rfc3339

DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = {"\u200e", "\u200f", "\u061c", "\ufeff"}
NASTY = st.text(
    st.characters(categories=["Cc", "Cs", "Zl", "Zp", "Cf"])
    | st.sampled_from("\x1b[31m\0\r\n\u202e\u2066\ud800\udfff\u2028abc")
)


def acts(character: str) -> bool:
    """Whether a character does something to the text around it, by Unicode's own tables."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in DIRECTIONS
        or character in MARKS
    )


@pytest.mark.spec("threats", "18", "names with RTL override, CR/LF, escape codes are harmless")
@given(text=st.text(st.characters()) | NASTY, limit=st.integers(0, 50))
@example(text="\x1b]0;owned\x07\u202etxt.exe", limit=50)
def test_nothing_that_acts_survives(text: str, limit: int) -> None:
    """No control, no surrogate, no direction override; at most so many characters."""
    shown = printable(text, limit)

    assert not [character for character in shown if acts(character)]
    assert len(shown) == min(len(text), limit)
    assert all(
        after == before or (acts(before) and after == "\ufffd")
        for before, after in zip(text, shown, strict=False)
    )
    shown.encode("utf-8")


def test_every_character_there_is() -> None:
    """All of Unicode, one by one: replaced when it acts, and only then."""
    every = "".join(map(chr, range(0x110000)))
    shown = printable(every, len(every))

    wrong = [
        f"U+{ord(before):04X}"
        for before, after in zip(every, shown, strict=True)
        if (after != before) != acts(before)
    ]
    assert wrong == []


@given(text=st.text(st.characters()), limit=st.integers(0, 50))
def test_once_is_enough(text: str, limit: int) -> None:
    """What is printable stays as it is."""
    shown = printable(text, limit)
    assert printable(shown, limit) == shown


@pytest.mark.spec(
    "contract", "Audit events", "client.created client.updated …; the list grows by ADR"
)
def test_no_event_is_written_that_is_not_promised() -> None:
    """Every event that can be written is one of the interface."""
    nouns = {
        "client": "created updated scopes_changed secret_rotated suspended activated deleted "
        "tokens_revoked leak_reported",
        "token": "issued refused revoked",
        "key": "created activated retired revoked",
        "catalogue": "applied",
        "organization": "created updated suspended activated",
        "operator": "invited created updated removed reset signed_in sign_in_failed signed_out "
        "credential_added credential_removed",
        "audit": "exported pruned",  # pruned: by ADR 11
        "backup": "restored",
    }
    promised = {f"{noun}.{verb}" for noun, verbs in nouns.items() for verb in verbs.split()}
    assert {event.value for event in Event} <= promised
    assert all(len(event.value) <= 40 for event in Event)


@pytest.mark.spec("contract", "HTTP", "Times are RFC 3339 UTC.")
@given(moment=st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))  # noqa: DTZ001  (the strategy adds the zone)
def test_a_moment_is_written_to_the_microsecond(moment: datetime) -> None:
    """With a Z, always as long, and read back to the same moment."""
    written = rfc3339(moment)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", written)
    assert datetime.fromisoformat(written) == moment
