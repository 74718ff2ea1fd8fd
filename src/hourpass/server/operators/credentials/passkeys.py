"""Passkeys (WebAuthn): registering one, and proving who one is with it.

The authenticator verifies its user (a finger, a PIN), so a passkey is two factors in one, and
nothing can be guessed: no counter of failures stands in its way.
"""

import ipaddress
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event, Origin, printable
from hourpass.server.db.engine import Database
from hourpass.server.operators import store as operators
from hourpass.server.operators import tokens
from hourpass.server.operators.credentials import store
from hourpass.server.operators.credentials.store import Passkey
from hourpass.server.operators.model import NotFound, Operator
from hourpass.server.operators.tokens import Token
from hourpass.server.refused import BadInput, Conflict, Forbidden

CEREMONY_WITHIN = timedelta(minutes=5)
MAX_PASSKEYS = 20
MAX_NAME = 60
_MAX_RESPONSE = 16 * 1024
_CEREMONY = "passkey ceremony"


class PasskeyRefused(Forbidden):
    """The answer of the authenticator does not prove anything; one text for every reason."""

    def __init__(self, private: str) -> None:
        self.private = private
        """Why, for the log."""
        super().__init__("this passkey was not accepted")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Whom a passkey is for: the issuer's host, and the origin of its pages."""

    rp_id: str
    origin: str

    @classmethod
    def of(cls, issuer: str) -> "RelyingParty | None":
        """None when the issuer's host is an address: passkeys need a name."""
        parts = urlsplit(issuer)
        host = parts.hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return (
                cls(rp_id=host, origin=f"{parts.scheme}://{parts.netloc.lower()}") if host else None
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """One attempt: `options` are for the browser; the token comes back with its answer."""

    token: Token
    options: dict[str, Any] = field(repr=False)


def begin_registration(database: Database, party: RelyingParty, operator: Operator) -> Ceremony:
    """What `navigator.credentials.create` needs; raises Conflict at the limit of passkeys."""
    with database.read() as connection:
        known = store.passkeys(connection, operator.operator_id)
    if len(known) >= MAX_PASSKEYS:
        raise Conflict(f"there are {MAX_PASSKEYS} passkeys already; remove one first")
    options = webauthn.generate_registration_options(
        rp_id=party.rp_id,
        rp_name="Hourpass",
        user_id=operator.operator_id.encode("ascii"),
        user_name=operator.email,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=key.credential_id) for key in known],
    )
    return _begin(database, options, operator.operator_id)


def finish_registration(
    database: Database,
    party: RelyingParty,
    operator: Operator,
    ceremony: Token,
    response: str,
    name: str,
    by: Origin,
) -> Passkey:
    """Register what the browser answered, under a name for people.

    Raises BadInput, Conflict, PasskeyRefused.
    """
    name = _checked_name(name)
    challenge = _use_challenge(database, ceremony, operator.operator_id)
    _bounded(response)
    try:
        verified = webauthn.verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as fault:  # noqa: BLE001  (whatever a stranger's bytes make of the parser)
        raise PasskeyRefused(type(fault).__name__) from None
    with database.write() as connection:
        if operators.hold(connection, operator.operator_id) is None:
            raise NotFound
        now = database.now(connection)
        if store.passkey(connection, verified.credential_id) is not None:
            raise Conflict("this passkey is registered already")
        if len(store.passkeys(connection, operator.operator_id)) >= MAX_PASSKEYS:
            raise Conflict(f"there are {MAX_PASSKEYS} passkeys already; remove one first")
        key = Passkey(
            credential_id=verified.credential_id,
            operator_id=operator.operator_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            name=name,
            created_at=now,
        )
        store.add_passkey(connection, key)
        event = Event.OPERATOR_CREDENTIAL_ADDED
        audit.record(connection, [_event(event, operator, name, by)], now)
    return key


def begin_authentication(database: Database, party: RelyingParty) -> Ceremony:
    """What `navigator.credentials.get` needs. It names nobody, so it tells nothing of anybody."""
    options = webauthn.generate_authentication_options(
        rp_id=party.rp_id, user_verification=UserVerificationRequirement.REQUIRED
    )
    return _begin(database, options, None)


def prove(
    database: Database, party: RelyingParty, ceremony: Token, response: str
) -> tuple[Passkey, int]:
    """Whose passkey answered, and its new counter, which `count` has to write.

    The challenge is used up whatever comes of it. Raises PasskeyRefused.
    """
    challenge = _use_challenge(database, ceremony, None)
    _bounded(response)
    try:
        parsed = parse_authentication_credential_json(response)
    except Exception as fault:  # noqa: BLE001  (as above)
        raise PasskeyRefused(type(fault).__name__) from None
    with database.read() as connection:
        key = store.passkey(connection, parsed.raw_id)
    if key is None:
        raise PasskeyRefused("unknown credential")
    if parsed.response.user_handle != key.operator_id.encode("ascii"):
        raise PasskeyRefused("another user handle")
    try:
        verified = webauthn.verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    except Exception as fault:  # noqa: BLE001  (as above)
        raise PasskeyRefused(type(fault).__name__) from None
    return key, verified.new_sign_count


def remove(database: Database, operator: Operator, credential_id: bytes, by: Origin) -> None:
    """Forget one of that person's passkeys; raises NotFound."""
    with database.write() as connection:
        name = store.remove_passkey(connection, operator.operator_id, credential_id)
        if name is None:
            raise NotFound
        event = Event.OPERATOR_CREDENTIAL_REMOVED
        audit.record(connection, [_event(event, operator, name, by)], database.now(connection))


def _begin(database: Database, options: Any, operator_id: str | None) -> Ceremony:
    token = tokens.new()
    with database.write() as connection:
        now = database.now(connection)
        store.add_challenge(
            connection,
            tokens.digest(token, _CEREMONY),
            options.challenge,
            operator_id,
            now,
            now + CEREMONY_WITHIN,
        )
    return Ceremony(token=token, options=json.loads(webauthn.options_to_json(options)))


def _use_challenge(database: Database, ceremony: Token, operator_id: str | None) -> bytes:
    digest = tokens.digest(ceremony, _CEREMONY)
    with database.write() as connection:
        challenge = store.use_challenge(connection, digest, operator_id, database.now(connection))
    if challenge is None:
        raise PasskeyRefused("no such challenge, or used, or too old")
    return challenge


def _bounded(response: str) -> None:
    if len(response) > _MAX_RESPONSE:
        raise PasskeyRefused("too large")


def _checked_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME or printable(name, MAX_NAME) != name:
        raise BadInput("name", f"give 1 to {MAX_NAME} printable characters")
    return name


def _event(event: Event, operator: Operator, name: str, by: Origin) -> AuditEvent:
    detail = {
        "operator_id": operator.operator_id,
        "email": operator.email,
        "credential": "passkey",
        "name": name,
    }
    return AuditEvent(event=event, origin=by, organization=operator.home, detail=detail)
