"""What a caller may see and do: management scopes, and where they count. Pure.

The rule that nothing here may break: nobody gains more than they hold. Whoever creates,
changes, rotates, activates or deletes an API client holds every management scope that the
client holds before and after; a secret rotated or a client woken is a client gained.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hourpass.server.refused import Forbidden

# The management scopes: every other room names them by these, so that a slip is an error.
CLIENTS_READ = "hourpass.clients:read"
CLIENTS_WRITE = "hourpass.clients:write"
AUDIT_READ = "hourpass.audit:read"
CATALOGUE_READ = "hourpass.catalogue:read"
KEYS_READ = "hourpass.keys:read"
KEYS_WRITE = "hourpass.keys:write"
OPERATORS_READ = "hourpass.operators:read"
OPERATORS_WRITE = "hourpass.operators:write"
ORGANIZATIONS_READ = "hourpass.organizations:read"
ORGANIZATIONS_WRITE = "hourpass.organizations:write"
_EVERYWHERE = frozenset({ORGANIZATIONS_READ, ORGANIZATIONS_WRITE})
_MANAGEMENT, _INTROSPECT = "hourpass.", "hourpass.introspect:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the caller of one operation may do."""

    scopes: frozenset[str]
    """The management scopes that may be used now; a token can narrow them."""
    organization: str | None
    """The caller's own organization; None: one of the whole installation."""
    everything: bool = False
    """A command on the server's own machine, or the server itself: every scope."""
    held: frozenset[str] | None = None
    """The management scopes that the caller's row holds now; None: the same as `scopes`."""

    def may(self, scope: str) -> bool:
        """Whether operations that need `scope` are open."""
        return self.everything or scope in self.scopes

    def need(self, scope: str) -> None:
        """Raises Forbidden without `scope`."""
        if not self.may(scope):
            raise Forbidden(f"this needs the scope {scope}")

    @property
    def sees_every_organization(self) -> bool:
        """Whether organizations other than the caller's own exist for it."""
        return self.organization is None or not _EVERYWHERE.isdisjoint(self.scopes)

    @property
    def only_organization(self) -> str | None:
        """The one organization that exists for the caller; None: every one does."""
        return None if self.sees_every_organization else self.organization

    def sees(self, organization: str | None) -> bool:
        """Whether what belongs to `organization` (None: to the installation) exists for it."""
        return self.sees_every_organization or (
            organization is not None and organization == self.organization
        )

    def changes(self, organization: str) -> bool:
        """Whether what belongs to `organization` may be changed, given the scope for it."""
        return self.organization in (None, organization) or ORGANIZATIONS_WRITE in self.scopes

    def lacking(self, scopes: Iterable[str]) -> frozenset[str]:
        """The management scopes among `scopes` that the caller does not hold itself."""
        if self.everything:
            return frozenset()
        held = self.scopes if self.held is None else self.held
        return management(scopes) - held

    def ungrantable(self, scopes: Iterable[str]) -> frozenset[str]:
        """Those of `scopes` that the caller must not give to anybody who lacks them.

        Beside what it lacks itself: to see every organization is given only by a command or
        by a person of the whole installation, never by an API client or within one organization.
        """
        wanted = management(scopes)
        beyond = frozenset[str]()
        if not self.everything and self.organization is not None:
            beyond = wanted & _EVERYWHERE
        return self.lacking(wanted) | beyond


FULL = Rights(scopes=frozenset(), organization=None, everything=True)
NONE = Rights(scopes=frozenset(), organization="")


def management(scopes: Iterable[str]) -> frozenset[str]:
    """The management scopes among `scopes`: reserved names, less those for introspection."""
    return frozenset(
        name for name in scopes if name.startswith(_MANAGEMENT) and not name.startswith(_INTROSPECT)
    )
