"""The keys a process works with, opened: peppers and signing keys at one version."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from hourpass.oauth.jose import PrivateKey
from hourpass.server.keys import model, store
from hourpass.server.keys.master import MasterKeys
from hourpass.server.keys.model import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Never printed, logged or stored: it holds every secret of the installation."""

    version: int
    keys: tuple[SigningKey, ...]
    peppers: dict[int, bytes] = field(repr=False)
    private: dict[str, PrivateKey] = field(repr=False)

    @property
    def pepper_version(self) -> int:
        """The pepper for secrets made from now on."""
        return max(self.peppers)

    def signer(self, now: datetime) -> PrivateKey | None:
        """The key that signs now; None when none is left to, which is a fault."""
        key = model.active(self.keys, now)
        return None if key is None else self.private.get(key.kid)

    def jwks(self, now: datetime) -> dict[str, object]:
        """The public keys (RFC 7517 section 5)."""
        return {"keys": [key.public_jwk for key in model.published(self.keys, now)]}


def load(connection: Connection, master: MasterKeys) -> Keyring:
    """Open every key whose private half is still kept; raises WrongMasterKey.

    Those that retire, too: a clock that is set back over a rotation wants the one before.
    The version is read first: should keys change while they are read, it is the older one,
    and whoever compares it reads again.
    """
    version = store.version(connection)
    sealed = store.sealed(connection)
    peppers = {
        int(name): master.unseal(kind, name, content)
        for (kind, name), content in sealed.items()
        if kind == store.PEPPER
    }
    keys = tuple(store.signing_keys(connection))
    private = {
        key.kid: PrivateKey.from_pkcs8(
            key.algorithm,
            master.unseal(store.SIGNING, key.kid, sealed[store.SIGNING, key.kid]),
        )
        for key in keys
        if (store.SIGNING, key.kid) in sealed
    }
    if version is None or not peppers:
        raise LookupError("this database holds no installation")
    return Keyring(version=version, keys=keys, peppers=peppers, private=private)


def own_key(connection: Connection, master: MasterKeys) -> bytes:
    """The installation's own 32 bytes, which never change: for cursors, and for names that only
    it can make. Raises WrongMasterKey."""
    sealed = store.sealed(connection, store.CURSOR)
    return master.unseal(store.CURSOR, "1", sealed[store.CURSOR, "1"])
