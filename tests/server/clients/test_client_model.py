"""The life of a client, as pure values: any sequence of deeds keeps the table of states true."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hourpass.server.audit.events import Actor, printable
from hourpass.server.clients.model import (
    MAX_DESCRIPTION,
    MAX_EXPIRES_IN_DAYS,
    MAX_NAME,
    Client,
    Status,
    checked_description,
    checked_name,
    expiry,
    is_client_id,
)
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.refused import BadInput, Conflict

NOW = datetime(2026, 2, 24, 12, tzinfo=UTC)
SCOPES = st.frozensets(
    st.sampled_from(["customers:read", "bookings:read", "notes:read"]), min_size=1
)
CLIENT_IDS = st.from_regex(r"\Am2m_[0-9a-hjkmnp-tv-z]{20}\Z")


@dataclass
class Told:
    """What the deeds so far have told us, kept beside the client and apart from its code."""

    expires_at: datetime | None
    scopes: frozenset[str]
    credential: ClientCredential
    suspended: bool = False
    generation: int = 1
    changes: int = 0

    def status(self, now: datetime) -> str:
        """The table of states."""
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "suspended" if self.suspended else "active"


class Life(RuleBasedStateMachine):
    """One client from its creation on; the clock only moves forward."""

    client: Client
    told: Told

    @initialize(days=st.none() | st.integers(1, 40), scopes=SCOPES)
    def create(self, days: int | None, scopes: frozenset[str]) -> None:
        self.now = NOW
        self.credentials_made = 1
        credential = ClientCredential(bytes(32), 1)
        expires_at = expiry(days, self.now)
        self.told = Told(expires_at, scopes, credential)
        self.client = Client(
            client_id="m2m_0123456789abcdefghjk",
            organization="default",
            name="Sync",
            description="",
            scopes=scopes,
            credentials=(credential,),
            created_at=self.now,
            created_by=Actor("operator", "1", "Ada"),
            expires_at=expires_at,
        )

    @rule(passed=st.timedeltas(timedelta(0), timedelta(days=15)))
    def clock(self, passed: timedelta) -> None:
        self.now += passed

    @precondition(lambda self: self.told.expires_at is not None)
    @rule()
    def clock_to_the_very_expiry(self) -> None:
        self.now = max(self.now, self.told.expires_at or self.now)

    @rule(revoke=st.booleans())
    def suspend(self, revoke: bool) -> None:
        after = self.client.suspended(self.now, revoke_live_tokens=revoke)
        self._became(after, changed=revoke or not self.told.suspended)
        self.told.suspended = True
        self.told.generation += revoke

    @rule()
    def activate(self) -> None:
        if self.told.status(self.now) == "expired":
            with pytest.raises(Conflict, match="create a new one"):
                self.client.activated(self.now)
            return
        self._became(self.client.activated(self.now), changed=self.told.suspended)
        self.told.suspended = False

    @rule(revoke=st.booleans())
    def rotate(self, revoke: bool) -> None:
        self.credentials_made += 1
        fresh = ClientCredential(self.credentials_made.to_bytes(32, "big"), 1)
        if self.told.status(self.now) == "expired":
            with pytest.raises(Conflict, match="create a new one"):
                self.client.rotated(fresh, self.now, revoke_live_tokens=revoke)
            return
        self._became(self.client.rotated(fresh, self.now, revoke_live_tokens=revoke), changed=True)
        assert self.client.secret_rotated_at == self.now
        self.told.credential = fresh
        self.told.generation += revoke

    @rule(scopes=SCOPES)
    def set_scopes(self, scopes: frozenset[str]) -> None:
        self._became(self.client.with_scopes(scopes), changed=scopes != self.told.scopes)
        self.told.scopes = scopes

    @rule(name=st.none() | st.sampled_from(["Sync", "Dashboard"]))
    def update(self, name: str | None) -> None:
        changed = name is not None and name != self.client.name
        self._became(self.client.updated(name=name, description=None), changed=changed)

    @rule()
    def revoke_tokens(self) -> None:
        self._became(self.client.with_tokens_revoked(), changed=True)
        self.told.generation += 1

    def _became(self, after: Client, *, changed: bool) -> None:
        """A deed that changes something is one version more; one that does not is the same."""
        if changed:
            self.told.changes += 1
        else:
            assert after is self.client
        self.client = after

    @invariant()
    def the_table_is_true(self) -> None:
        assert self.client.status(self.now).value == self.told.status(self.now)

    @invariant()
    def only_the_deed_meant_for_it_changes_a_thing(self) -> None:
        assert self.client.client_id == "m2m_0123456789abcdefghjk"
        assert self.client.created_at == NOW
        assert self.client.expires_at == self.told.expires_at
        assert self.client.scopes == self.told.scopes
        assert self.client.credentials == (self.told.credential,)
        assert self.client.token_generation == self.told.generation
        assert self.client.version == 1 + self.told.changes


@pytest.mark.spec("seed", "Client lifecycle", "API clients move through the following states")
def test_any_sequence_of_deeds_and_clock_keeps_the_table_of_states_true() -> None:
    """And each deed changes what it is for, and nothing else."""
    run_state_machine_as_test(Life)


@pytest.mark.spec("seed", "Client expiry", "After this date: The client cannot obtain new tokens")
@given(days=st.integers(1, MAX_EXPIRES_IN_DAYS), early=st.timedeltas(timedelta(microseconds=1)))
def test_a_client_expires_at_its_moment_and_stays_expired(days: int, early: timedelta) -> None:
    """One microsecond before it is active; from the moment on it is expired."""
    moment = expiry(days, NOW)
    assert moment == NOW + timedelta(days=days)
    client = Client(
        client_id="m2m_0123456789abcdefghjk",
        organization="default",
        name="Sync",
        description="",
        scopes=frozenset({"customers:read"}),
        credentials=(),
        created_at=NOW,
        created_by=Actor("operator", "1", "Ada"),
        expires_at=moment,
    )
    before = max(NOW, moment - min(early, timedelta(days=5000)))

    assert client.status(before) is Status.ACTIVE
    assert client.status(moment) is Status.EXPIRED
    assert client.status(moment + timedelta(days=5000)) is Status.EXPIRED


@pytest.mark.spec("contract", "Lifecycle", "an expiry of 1–3,650 days or none")
@given(days=st.integers().filter(lambda days: not 1 <= days <= 3650))
def test_no_other_number_of_days_is_an_expiry(days: int) -> None:
    """Zero, negative and endless ones are refused, whatever their size."""
    with pytest.raises(BadInput) as refused:
        expiry(days, NOW)
    assert refused.value.member == "expires_in_days"


def test_no_expiry_is_none() -> None:
    """The client remains valid indefinitely."""
    assert expiry(None, NOW) is None


@pytest.mark.spec("contract", "Lifecycle", "A client has a name of 1–100 characters")
@given(text=st.text(max_size=120) | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zs"])))
def test_a_name_that_passes_is_text_and_nothing_else(text: str) -> None:
    """Either BadInput, or 1 to 100 printable characters without blanks around them."""
    try:
        name = checked_name(text)
    except BadInput as refused:
        assert refused.member == "name"
        return
    assert 1 <= len(name) <= MAX_NAME
    assert name == text.strip() == name.strip()
    assert printable(name, MAX_NAME) == name
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["A", "é" * 100, "  CRM sync  ", "予約 システム", "O'Brien & <Co>"]
)
def test_names_of_people_and_programs_pass(name: str) -> None:
    """Text is data: markup and any script are fine."""
    assert checked_name(name) == name.strip()


@pytest.mark.spec("threats", "18", "names with RTL override, CR/LF or escape codes are harmless")
@pytest.mark.parametrize(
    "name",
    [
        "",
        " \t ",
        "x" * 101,
        "a\nb",
        "a\rb",
        "a\0b",
        "\x1b[31mred",
        "a\u202eb",
        "a\ud800b",
        "a\x9bb",
    ],
)
def test_names_that_are_not_text_are_refused(name: str) -> None:
    """Empty, too long, or with something that a terminal or a row would act upon."""
    with pytest.raises(BadInput):
        checked_name(name)


@given(text=st.text(max_size=1100) | st.text(st.characters(categories=["Cc", "Cf", "Cs"])))
def test_a_description_that_passes_is_text_with_line_ends(text: str) -> None:
    """Either BadInput, or at most 1,000 characters with line feeds and tabs as only controls."""
    try:
        description = checked_description(text)
    except BadInput as refused:
        assert refused.member == "description"
        return
    assert len(description) <= MAX_DESCRIPTION
    visible = description.replace("\n", "").replace("\t", "")
    assert printable(visible, MAX_DESCRIPTION) == visible
    assert checked_description(description) == description


def test_line_ends_of_a_browser_form_become_line_feeds() -> None:
    """A textarea sends CR LF."""
    assert checked_description("For the\r\nfront desk\n") == "For the\nfront desk"


@given(client_id=CLIENT_IDS)
def test_every_client_id_has_the_form(client_id: str) -> None:
    """`m2m_` and 20 of the 32 letters."""
    assert is_client_id(client_id)


@given(client_id=CLIENT_IDS, at=st.integers(0, 24), put=st.characters())
def test_nothing_may_be_added_to_a_client_id(client_id: str, at: int, put: str) -> None:
    """One character more is another text, a line end included."""
    assert not is_client_id(client_id[:at] + put + client_id[at:])


@pytest.mark.parametrize("letter", ["i", "l", "o", "u", "A", "I", "٣", "-", "\n", "\0"])
def test_letters_outside_the_alphabet_are_none_of_a_client_id(letter: str) -> None:
    """The look-alikes, capitals, and digits of other scripts."""
    assert not is_client_id("m2m_0123456789abcdefghj" + letter)
