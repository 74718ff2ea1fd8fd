"""People for tests: operators who have signed up, a clock that can be turned, real threads."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from hourpass.server.audit.events import Origin
from hourpass.server.db.engine import Database
from hourpass.server.keys.master import MasterKeys
from hourpass.server.operators import lifecycle
from hourpass.server.operators import store as operators
from hourpass.server.operators.credentials.passwords import Password
from hourpass.server.operators.model import Operator, Role
from hourpass.server.operators.sessions import operations, sign_in
from hourpass.server.operators.sessions.operations import Current
from hourpass.server.operators.sessions.sign_in import SignedIn
from hourpass.server.operators.tokens import Token
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import Organization
from support.hashing import HASHING
from support.installation import TESTER, Installation

PASSWORD = Password("seven green lamps at noon")
OTHER_PASSWORD = Password("nine quiet boats by the pier")


@dataclass
class _Clock:
    ahead: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDatabase(Database):
    """The same database, whose clock goes ahead when it is told."""

    clock: _Clock = field(default_factory=_Clock)

    def now(self, connection: Connection) -> datetime:
        """See `Database`."""
        return Database.now(self, connection) + self.clock.ahead

    def pass_time(self, **duration: float) -> None:
        """Let so much time go by."""
        self.clock.ahead += timedelta(**duration)


class Office:
    """An installation with people, each of whom has signed up with PASSWORD."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        database = installation.context.database
        parts: dict[str, Any] = {
            part.name: getattr(database, part.name) for part in fields(database)
        }
        self.database = TurnedDatabase(**parts)

    @property
    def master(self) -> MasterKeys:
        """What seals the secrets of authenticator apps."""
        return self.installation.context.policy.master

    def add_organization(self, name: str, *, suspended: bool = False) -> str:
        """An organization; its ID."""
        with self.database.write() as connection:
            now = self.database.now(connection)
            organizations.add(
                connection,
                Organization(
                    id=name, name=name, created_at=now, suspended_at=now if suspended else None
                ),
            )
        return name

    def hire(
        self, email: str, role: Role = Role.OWNER, organization: str | None = None
    ) -> Operator:
        """Invite somebody, who accepts."""
        made = lifecycle.set_role(self.database, email, organization, role, TESTER)
        assert made.link is not None
        return lifecycle.use_link(self.database, HASHING, made.link.token, PASSWORD, TESTER)

    def read(self, email: str) -> Operator | None:
        """The operator as the database has it."""
        with self.database.read() as connection:
            return operators.by_email(connection, email)

    def sign_in(self, email: str, password: Password = PASSWORD) -> SignedIn:
        """With the password."""
        return sign_in.sign_in(self.database, HASHING, self.master, email, password, TESTER)

    def current(self, token: Token) -> Current:
        """Who is behind a token; somebody must be."""
        who = operations.current(self.database, token)
        assert who is not None
        return who

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The audit events of operators, oldest first; of those names, when any is given."""
        found = [event for event in self.installation.events() if "operator." in event["event"]]
        return [event for event in found if not names or event["event"] in names]

    @contextmanager
    def meeting(self, parties: int) -> Iterator[Database]:
        """The database, with every thread's first write waiting until all are about to write."""
        yield _MeetingDatabase(
            **{part.name: getattr(self.database, part.name) for part in fields(self.database)},
            barrier=threading.Barrier(parties),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _MeetingDatabase(TurnedDatabase):
    barrier: threading.Barrier
    _met: threading.local = field(default_factory=threading.local)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """See `Database`."""
        if not getattr(self._met, "already", False):
            self._met.already = True
            self.barrier.wait(30)
        with Database.write(self) as connection:
            yield connection


def acting(operator: Operator) -> Origin:
    """What that person does."""
    return Origin(actor=operator.actor, request_id="test", ip="192.0.2.7")


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Do each in a thread of its own; what each returned or raised."""

    def done(deed: Callable[[], object]) -> object:
        try:
            return deed()
        except Exception as raised:  # noqa: BLE001  (whatever it is, the test looks at it)
            return raised

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(done, deeds))
