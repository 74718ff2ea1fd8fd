"""Which scopes a form offers: by API, with what each grants. Pure."""

from dataclasses import dataclass

from hourpass.server.catalogue.model import (
    INTROSPECT_PREFIX,
    MANAGEMENT_SCOPES,
    Api,
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
    """The scopes of one API; `note` says what is special about them.

    `is_built_in`: of no API in the catalogue, but Hourpass's own.
    """

    key: str
    name: str
    choices: tuple[Choice, ...]
    note: str = ""
    is_built_in: bool = False


def groups(
    catalogue: Catalogue,
    rights: Rights,
    chosen: frozenset[str],
    *,
    organization: str | None,
    held: frozenset[str] = frozenset(),
) -> list[Group]:
    """What can be granted now, and what the client holds already, in the catalogue's order.

    `organization` is the client's; None: it is yet to be chosen. What is held of an API that is
    kept to others by now is as what is retired: once taken away it does not come back.
    """

    def is_open(api: Api) -> bool:
        return organization is None or api.may_be_granted_in(organization)

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
                    is_retired=scope.retired or not is_open(api),
                )
                for scope in api.scopes
                if scope.name in held or (is_open(api) and not scope.retired)
            ),
            note=_kept_to(api) if rights.sees_every_organization else "",
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
        if INTROSPECT_PREFIX + api.key in held or (is_open(api) and not api.retired)
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
            is_built_in=True,
        )
    )
    found.append(
        Group(
            key="management",
            name="Hourpass itself",
            choices=tuple(management),
            note="Only for programs that manage API clients: a token for these must be asked for.",
            is_built_in=True,
        )
    )
    return [group for group in found if group.choices]


def _kept_to(api: Api) -> str:
    return f"Kept to {', '.join(sorted(api.organizations))}." if api.organizations else ""
