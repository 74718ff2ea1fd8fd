"""Which scopes a form offers: by API, with what each grants. Pure."""

from dataclasses import dataclass

from hourpass.server.catalogue.model import (
    INTROSPECT_PREFIX,
    MANAGEMENT_SCOPES,
    Catalogue,
)
from hourpass.server.rights import Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scope with its box."""

    name: str
    description: str
    grants: tuple[str, ...] = ()
    is_chosen: bool = False
    is_retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The scopes of one API; `note` says what is special about them."""

    key: str
    name: str
    choices: tuple[Choice, ...]
    note: str = ""


def groups(
    catalogue: Catalogue,
    rights: Rights,
    chosen: frozenset[str],
    *,
    held: frozenset[str] = frozenset(),
) -> list[Group]:
    """What can be granted now, and what the client holds already, in the catalogue's order."""
    found = [
        Group(
            key=api.key,
            name=api.name,
            choices=tuple(
                Choice(
                    name=scope.name,
                    description=scope.description,
                    grants=tuple(str(grant) for grant in scope.grants),
                    is_chosen=scope.name in chosen,
                    is_retired=scope.retired,
                )
                for scope in api.scopes
                if not scope.retired or scope.name in held
            ),
        )
        for api in catalogue.apis
    ]
    blind = [
        Choice(
            name=INTROSPECT_PREFIX + api.key,
            description=f"Ask whether a token for {api.name} is still good",
            is_chosen=INTROSPECT_PREFIX + api.key in chosen,
        )
        for api in catalogue.apis
        if not api.retired or INTROSPECT_PREFIX + api.key in held
    ]
    beyond = rights.ungrantable(MANAGEMENT_SCOPES)
    management = [
        Choice(name=name, description=text, is_chosen=name in chosen)
        for name, text in MANAGEMENT_SCOPES.items()
        if name not in beyond or name in held
    ]
    found.append(
        Group(
            key="introspection",
            name="Checking tokens online",
            choices=tuple(blind),
            note="For an API that asks Hourpass about each token.",
        )
    )
    found.append(
        Group(
            key="management",
            name="Hourpass itself",
            choices=tuple(management),
            note="Only for programs that manage API clients: a token for these must be asked for.",
        )
    )
    return [group for group in found if group.choices]
