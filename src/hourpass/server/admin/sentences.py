"""Audit events as sentences for people: `ana@example.com rotated the secret of CRM sync`. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from hourpass.server.audit.events import StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """Who, what, and which client where one is named; a page may make the client a link."""

    actor: str
    deed: str
    client: str = ""
    more: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.actor, self.deed, self.client) if part) + self.more


def sentence(event: StoredEvent) -> Sentence:
    """What happened. An event of a kind that is not known here is told by its name."""
    make = _SENTENCES.get(event.event)
    if make is not None:
        return make(event)
    deed = _DEEDS.get(event.event)
    if deed is None:
        words = event.event.replace(".", " ").replace("_", " ")
        return Sentence(actor=event.actor.name, deed=f"· {words}", client=_client(event))
    words, tell = deed
    return Sentence(
        actor=event.actor.name, deed=words, client=_client(event), more=tell(event) if tell else ""
    )


def detail(event: StoredEvent) -> list[tuple[str, str]]:
    """The event's own facts as names and values that are read, not parsed."""
    return [(name.replace("_", " ").capitalize(), _value(v)) for name, v in event.detail.items()]


def reason(code: str) -> str:
    """Why a token was refused, in words; a code that is not known here stays as it is."""
    return _REASONS.get(code, code.replace("_", " ") or "not said")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(each)}" for name, each in value.items()) or "none"
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _client(event: StoredEvent) -> str:
    return event.client_name or event.client_id or ""


def _text(event: StoredEvent, name: str) -> str:
    value = event.detail.get(name)
    return "" if value is None else _value(value)


def _updated(event: StoredEvent) -> Sentence:
    before, limit, more = _text(event, "name_before"), _limit(event), ""
    if before:
        deed, more = "renamed", f", before “{before}”"
    elif "description" in event.detail:
        deed = "changed the description of"
    else:
        deed, more, limit = "set the limit of", f": {limit}" if limit else "", ""
    more += f"; its limit: {limit}" if limit else ""
    return Sentence(actor=event.actor.name, deed=deed, client=_client(event), more=more)


def _limit(event: StoredEvent) -> str:
    """The limit that a client got; empty when the event is not about it."""
    if "limit_per_minute" not in event.detail:
        return ""
    number = event.detail["limit_per_minute"]
    return f"up to {number:,} requests a minute" if isinstance(number, int) else "the API’s own"


def _scopes(event: StoredEvent) -> str:
    changes = [
        f"{word} {_text(event, word)}" for word in ("added", "removed") if event.detail.get(word)
    ]
    return ": " + "; ".join(changes) if changes else ""


def _and_revoked(event: StoredEvent) -> str:
    return ", and revoked its live tokens" if event.detail.get("revoke_live_tokens") else ""


def _issued(event: StoredEvent) -> Sentence:
    scope = _text(event, "scope")
    more = f" for {scope}" if scope else ""
    return Sentence(actor="", deed="", client=_client(event), more=f" got a token{more}")


def _refused(event: StoredEvent) -> Sentence:
    count = event.detail.get("count")
    times = f", {count:,} times more" if isinstance(count, int) else ""
    why = f"was refused a token: {reason(_text(event, 'reason'))}{times}"
    if event.client_id:
        return Sentence(actor="", deed="", client=_client(event), more=f" {why}")
    return Sentence(actor="A caller without a known client", deed=why)


def _about_key(words: str) -> Callable[[StoredEvent], Sentence]:
    def make(event: StoredEvent) -> Sentence:
        return Sentence(actor=event.actor.name, deed=f"{words} {_text(event, 'kid')[:12]}…")

    return make


def _about_organization(words: str) -> Callable[[StoredEvent], Sentence]:
    def make(event: StoredEvent) -> Sentence:
        named = _text(event, "name") or event.organization or ""
        return Sentence(actor=event.actor.name, deed=f"{words} {named}".rstrip())

    return make


def _about_person(words: str) -> Callable[[StoredEvent], Sentence]:
    def make(event: StoredEvent) -> Sentence:
        return Sentence(actor=event.actor.name, deed=f"{words} {_text(event, 'email')}".rstrip())

    return make


def _pruned(event: StoredEvent) -> Sentence:
    count = event.detail.get("events")
    number = f"{count:,} audit events" if isinstance(count, int) else "audit events"
    return Sentence(
        actor=event.actor.name,
        deed=f"removed {number}",
        more=f": all from before {_text(event, 'before')[:10]}",
    )


def _invited(event: StoredEvent) -> Sentence:
    deed = f"invited {_text(event, 'email')}" if _text(event, "email") else "made the set-up link"
    return Sentence(actor=event.actor.name, deed=deed)


def _signed_up(event: StoredEvent) -> Sentence:
    email = _text(event, "email")
    more = f" as {email}" if email and email != event.actor.name else ""
    return Sentence(actor=event.actor.name, deed="signed up", more=more)


def _person_updated(event: StoredEvent) -> Sentence:
    if event.detail.get("password"):
        return Sentence(actor=event.actor.name, deed="changed their password")
    role = event.detail.get("role")
    about = (
        f"made {_text(event, 'email')} {role}"
        if role
        else f"took a role from {_text(event, 'email')}"
    )
    return Sentence(actor=event.actor.name, deed=about)


def _sign_in_failed(event: StoredEvent) -> Sentence:
    whom = _text(event, "email") or "somebody unknown"
    why = _text(event, "reason")
    return Sentence(actor="A sign-in", deed=f"as {whom} failed", more=f": {why}" if why else "")


def _signed_in(event: StoredEvent) -> Sentence:
    again = event.detail.get("again")
    deed = "proved again who they are" if again else "signed in"
    method = _text(event, "method").replace("_", " ")
    return Sentence(actor=event.actor.name, deed=deed, more=f" with {method}" if method else "")


def _credential(words: str) -> Callable[[StoredEvent], Sentence]:
    def make(event: StoredEvent) -> Sentence:
        kind = _text(event, "credential")
        named = {"totp": "an authenticator app", "recovery_codes": "recovery codes"}.get(kind, kind)
        return Sentence(actor=event.actor.name, deed=f"{words} {named or 'a credential'}")

    return make


_Tell = Callable[[StoredEvent], str]
_DEEDS: dict[str, tuple[str, _Tell | None]] = {
    "client.created": ("created", None),
    "client.scopes_changed": ("changed the scopes of", _scopes),
    "client.secret_rotated": ("rotated the secret of", _and_revoked),
    "client.suspended": ("suspended", _and_revoked),
    "client.activated": ("re-activated", None),
    "client.deleted": ("deleted", None),
    "client.tokens_revoked": ("revoked the live tokens of", None),
    "client.leak_reported": ("reported a leaked secret of", None),
    "token.revoked": ("revoked a token of", None),
    "catalogue.applied": ("applied the catalogue", None),
    "operator.signed_out": ("signed out", None),
    "audit.exported": ("exported the audit log", None),
    "backup.restored": ("restored a backup", None),
}
_SENTENCES: dict[str, Callable[[StoredEvent], Sentence]] = {
    "audit.pruned": _pruned,
    "client.updated": _updated,
    "token.issued": _issued,
    "token.refused": _refused,
    "key.created": _about_key("made the signing key"),
    "key.activated": _about_key("began to sign with the key"),
    "key.retired": _about_key("retired the signing key"),
    "key.revoked": _about_key("revoked the signing key"),
    "organization.created": _about_organization("created the organization"),
    "organization.updated": _about_organization("renamed an organization to"),
    "organization.suspended": _about_organization("suspended the organization"),
    "organization.activated": _about_organization("re-activated the organization"),
    "operator.invited": _invited,
    "operator.created": _signed_up,
    "operator.updated": _person_updated,
    "operator.removed": _about_person("removed"),
    "operator.reset": _about_person("reset the sign-in of"),
    "operator.signed_in": _signed_in,
    "operator.sign_in_failed": _sign_in_failed,
    "operator.credential_added": _credential("added"),
    "operator.credential_removed": _credential("removed"),
}
_REASONS = {
    "unknown_client": "no such client",
    "wrong_secret": "wrong secret",
    "malformed": "malformed credentials",
    "no_credentials": "no credentials",
    "suspended": "the client is suspended",
    "expired": "the client has expired",
    "organization_suspended": "the organization is suspended",
    "invalid_scope": "a scope that the client does not hold",
    "invalid_target": "an API that does not fit",
    "too_many_kinds": "too many kinds to tell apart",
}
