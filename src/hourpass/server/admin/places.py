"""The organizations that a person may look at: the one chosen, a menu of a few, a search for all.

There may be thousands: no page reads more of them than a menu holds.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

from hourpass.server.db.engine import Database
from hourpass.server.operators.model import Powers
from hourpass.server.organizations import store
from hourpass.server.organizations.model import Organization, is_organization_id

MENU = 20
"""So many organizations a menu holds; where there are more, they are searched."""
_LATELY = 6
Position = tuple[datetime, str]


class Places:
    """What one visit needs to know of organizations."""

    def __init__(self, database: Database, powers: Powers, remembered: str) -> None:
        """`remembered` is what the browser keeps, as `remember` made it."""
        self._database, self._powers = database, powers
        self._remembered = remembered.split(".")[:_LATELY]
        self._all_of_few: dict[str | None, list[Organization] | None] = {}

    @cached_property
    def current(self) -> Organization | None:
        """The one that is looked at; None: all of them."""
        chosen = self.find(self._remembered[0])
        if chosen is not None or self._powers.everywhere:
            return chosen
        few = self.few()
        return few[0] if few else self.find(min(self._powers.organizations, default=""))

    @property
    def are_several(self) -> bool:
        """Whether there is anything to choose."""
        few = self.few()
        return few is None or len(few) > 1

    def few(self, needs: str | None = None) -> list[Organization] | None:
        """Those where the person holds the scope `needs`, by name; None when a menu is too small
        for them."""
        if needs not in self._all_of_few:
            found, more = self.search("", needs=needs)
            self._all_of_few[needs] = _by_name(found) if more is None else None
        return self._all_of_few[needs]

    def lately(self, needs: str | None = None, *more: str) -> list[Organization]:
        """Those that were chosen last, and `more`, of those where the person holds `needs`."""
        return self._known([*self._remembered, *more], needs)

    def search(
        self, text: str, before: Position | None = None, *, needs: str | None = None
    ) -> tuple[list[Organization], Position | None]:
        """As many as a menu holds, newest first, and after which the next ones begin."""
        with self._database.read() as connection:
            return store.page(
                connection, limit=MENU, before=before, search=text, within=self._within(needs)
            )

    def find(self, organization_id: str) -> Organization | None:
        """The one with that ID, if the person may look at it."""
        return next(iter(self._known([organization_id])), None)

    def names(self, organization_ids: Iterable[str]) -> dict[str, str]:
        """What those with these IDs are called, of those that the person may look at."""
        return {each.id: each.name for each in self._known(organization_ids)}

    def remember(self, organization_id: str) -> str:
        """What the browser keeps from now on: the one to look at (empty: all), and those before."""
        chosen = "" if self.find(organization_id) is None else organization_id
        before = [each for each in self._remembered if is_organization_id(each) and each != chosen]
        return ".".join([chosen, *before][:_LATELY])

    def _known(
        self, organization_ids: Iterable[str], needs: str | None = None
    ) -> list[Organization]:
        within = self._within(needs)
        wanted = [each for each in organization_ids if within is None or each in within]
        if not any(wanted):
            return []
        with self._database.read() as connection:
            return _by_name(store.get_many(connection, wanted))

    def _within(self, needs: str | None) -> frozenset[str] | None:
        """Where the person holds the scope, or anything at all; None: everywhere."""
        powers = self._powers
        if powers.everywhere and (needs is None or needs in powers.everywhere):
            return None
        return frozenset(
            name for name, held in powers.organizations.items() if needs is None or needs in held
        )


def _by_name(organizations: Iterable[Organization]) -> list[Organization]:
    return sorted(organizations, key=lambda each: (each.name.casefold(), each.id))
