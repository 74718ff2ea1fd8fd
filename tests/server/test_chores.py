"""Chores: done by one process of an installation, whatever one of them meets."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from hourpass.server import chores as room
from hourpass.server.chores import Chore, Chores
from hourpass.server.clients import idempotency, idempotency_store
from hourpass.server.context import Context
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.db.schema import idempotency_key, revoked_token, signing_key
from hourpass.server.tokens import store
from support.installation import Installation
from support.postgres import Cluster
from support.token_server import eventually

DAILY = timedelta(days=1)


class Done:
    """Notes by whom a chore was done."""

    def __init__(self) -> None:
        self.by: list[str] = []

    def chore(self, fault: Exception | None = None, name: str = "a chore") -> Chore:
        """One that notes it, and then meets a fault."""

        def run(context: Context) -> None:
            self.by.append(str(context.settings.data_dir))
            if fault is not None:
                raise fault

        return Chore(name=name, every=DAILY, run=run)


@contextmanager
def node(installation: Installation, folder: Path, chore: Chore) -> Iterator[Chores]:
    """Another process's chores over the same database."""
    environ = {**installation.environ, "HOURPASS_DATA_DIR": str(folder)}
    own = Installation(folder, environ["HOURPASS_DATABASE_URL"], environ)
    with closing(own):
        chores = Chores(own.context, [chore])
        try:
            yield chores
        finally:
            chores.stop()


def test_one_of_two_nodes_does_them_until_it_goes(
    postgres_installation: Installation, tmp_path: Path
) -> None:
    """The other looks in vain for as long as the first one is there, and then takes over."""
    done, one, other = Done(), tmp_path / "one", tmp_path / "other"

    with node(postgres_installation, other, done.chore()) as second:
        with node(postgres_installation, one, done.chore()) as first:
            for _ in range(3):
                first.look()
                second.look()
            assert done.by == [str(one)]
        eventually(lambda: looked(second, done) == [str(one), str(other)])


def test_a_holder_whose_session_ended_is_none(
    postgres_installation: Installation, tmp_path: Path
) -> None:
    """The database dropped its connection: whoever looks next does them, also itself."""
    done, one, other = Done(), tmp_path / "one", tmp_path / "other"
    with (
        node(postgres_installation, one, done.chore()) as first,
        node(postgres_installation, other, done.chore()) as second,
    ):
        first.look()
        end_the_holder(postgres_installation)
        second.look()
        first.look()
        end_the_holder(postgres_installation)
        first.look()

    assert done.by == [str(one), str(other), str(one)]


def test_one_may_say_when_it_is_due_again(installation: Installation) -> None:
    """More of it is left to do: with the next look, not tomorrow."""
    left = [timedelta(), timedelta(), DAILY, timedelta()]
    chores = Chores(
        installation.context,
        [Chore(name="a chore", every=DAILY, run=lambda _context: left.pop(0))],
    )

    for _ in range(5):
        chores.look()
    chores.stop()

    assert left == [timedelta()]


def test_a_database_that_is_away_is_told_once(
    postgres_installation: Installation, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Not with every look; once it is back they are done, without anybody's help."""
    context, done = postgres_installation.context, Done()
    name = context.database.engine.url.database
    chores = Chores(context, [done.chore()])
    context.database.close()
    cluster.execute(f"alter database {name} allow_connections false")
    try:
        for _ in range(3):
            chores.look()
    finally:
        cluster.execute(f"alter database {name} allow_connections true")
    assert (len(done.by), caplog.text.count("the chores wait for the database")) == (0, 1)

    chores.look()
    chores.stop()
    assert len(done.by) == 1


@pytest.mark.parametrize("fault", [DatabaseUnavailable("gone"), ValueError("a bug")])
def test_one_that_fails_keeps_no_other_from_being_done(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The database away or a bug met: the others are done, and it is tried again."""
    monkeypatch.setattr(room, "_AGAIN_AFTER_FAULT", timedelta())
    bad, good = Done(), Done()
    chores = Chores(installation.context, [bad.chore(fault, "a bad one"), good.chore()])

    for _ in range(3):
        chores.look()
    chores.stop()

    assert (len(bad.by), len(good.by)) == (3, 1)


def test_they_go_on_by_themselves_and_end_when_told(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At start and again and again; after `stop` another may do them."""
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.01)
    done = Done()
    chore = Chore(name="a chore", every=timedelta(), run=done.chore().run)
    chores, others = (Chores(installation.context, [chore]) for _ in range(2))

    chores.start()
    eventually(lambda: len(done.by) >= 3)
    chores.stop()
    count = len(done.by)
    eventually(lambda: len(looked(others, done)) > count)
    others.stop()


def test_one_that_hangs_does_not_hold_the_process(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is let go after a moment, and the process can end: nothing waits for its thread."""
    monkeypatch.setattr(room, "_STOP_WITHIN_S", 0.01)
    began, free = threading.Event(), threading.Event()

    def hang(_context: Context) -> None:
        began.set()
        free.wait(15)

    chores = Chores(installation.context, [Chore(name="a chore", every=DAILY, run=hang)])
    chores.start()
    assert began.wait(5)
    chores.stop()

    (hanging,) = (thread for thread in threading.enumerate() if thread.name == "chores")
    assert hanging.daemon
    free.set()
    hanging.join(5)
    chores.stop()


def test_a_statement_that_is_never_answered_ends_no_chores(
    postgres_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a database that was stopped, beside which another one has taken over."""
    monkeypatch.setattr(room, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.01)
    done = Done()

    def wait(context: Context) -> None:
        with context.database.write() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_sleep(10)"))

    chores = Chores(
        postgres_installation.context,
        [Chore(name="a slow one", every=DAILY, run=wait), done.chore()],
    )
    chores.start()
    try:
        eventually(lambda: len(done.by) == 1)
    finally:
        chores.stop()


def test_keys_idempotency_and_revoked_tokens_are_among_them(installation: Installation) -> None:
    """What a server does by itself: the next key, and two kinds of rows that are of no use."""
    context = installation.context
    (_, coming) = context.keyring().keys
    with context.database.write() as connection:
        now = context.database.now(connection)
        past = now - timedelta(days=3)
        store.add_revoked(connection, "jti", "m2m_x", past)
        idempotency_store.put(connection, "caller", "route", "key", b"", "m2m_x", past)
        connection.execute(
            update(signing_key).where(signing_key.c.kid == coming.kid).values(activates_at=now)
        )

    chores = Chores(context)
    chores.look()
    chores.stop()

    with context.database.read() as connection:
        for table in (revoked_token, idempotency_key):
            assert connection.execute(table.select()).all() == []
    assert len(context.keyring().keys) == 3


def test_rows_of_no_use_go_however_many_come_in_a_minute(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one step removes: the next step is due at once, and the last in a minute."""
    monkeypatch.setattr(store, "_PURGE_AT_ONCE", 10)
    monkeypatch.setattr(idempotency, "_PURGE_AT_ONCE", 10)
    context = installation.context
    with context.database.write() as connection:
        past = context.database.now(connection) - timedelta(days=3)
        for number in range(25):
            moment = past + timedelta(seconds=number)
            store.add_revoked(connection, f"jti-{number}", "m2m_x", moment)
            idempotency_store.put(connection, "caller", "route", f"{number}", b"", "m2m_x", moment)

    chores = Chores(context)
    looks = [chores.look() for _ in range(4)]
    chores.stop()

    assert looks == [True, True, False, False]
    with context.database.read() as connection:
        for table in (revoked_token, idempotency_key):
            assert connection.execute(table.select()).all() == []


def looked(chores: Chores, done: Done) -> list[str]:
    """By whom a chore was done, after another look: a session takes a moment to end."""
    chores.look()
    return done.by


def end_the_holder(installation: Installation) -> None:
    """End the one session that holds an advisory lock, and wait until it is gone."""
    holder = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with installation.context.database.look() as connection:
        (pid,) = connection.execute(text(holder)).scalars().all()
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        eventually(lambda: connection.execute(text(holder)).first() is None)
