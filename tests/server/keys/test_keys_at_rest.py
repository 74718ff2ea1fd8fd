"""What a copy of the database gives away, and how the master key is changed."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import MetaData, select, text, update

from hourpass.server.clients import lifecycle
from hourpass.server.clients.secrets import Secret, proves
from hourpass.server.context import Context
from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import sealed_key
from hourpass.server.keys import keyring, master, operations, store
from hourpass.server.keys.keyring import Keyring
from hourpass.server.keys.master import MasterKeys, WrongMasterKey
from support.installation import MASTER_KEY, TESTER, Installation


def everything(installation: Installation) -> bytes:
    """All that the database holds: its files, or each row of each table as text."""
    database = installation.context.database
    if database.dialect is Dialect.SQLITE:
        path = installation.context.settings.sqlite_path
        return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))
    tables = MetaData()
    with database.read() as connection:
        tables.reflect(connection)
        rows = [
            row
            for table in tables.sorted_tables
            for row in connection.execute(text(f'select t::text from "{table.name}" t')).scalars()
        ]
    return "\n".join(rows).encode()


def spellings(secret: bytes) -> list[bytes]:
    """The ways in which octets could stand in a file or in a row's text."""
    return [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    ]


def secrets_of(ring: Keyring) -> list[bytes]:
    """Whatever must not be in the database in clear."""
    found = list(ring.peppers.values())
    for key in ring.private.values():
        der = key.to_pkcs8()
        opened = serialization.load_der_private_key(der, None)
        assert isinstance(opened, ec.EllipticCurvePrivateKey)
        number = opened.private_numbers().private_value
        found += [der, number.to_bytes(32, "big"), str(number).encode()]
    return found


def load(context: Context, keys: MasterKeys) -> Keyring:
    """The keys, opened with this master key."""
    with context.database.read() as connection:
        return keyring.load(connection, keys)


@pytest.mark.spec("threats", "9", "a database dump alone can neither sign nor verify a secret")
def test_nothing_in_the_database_signs_or_proves(installation: Installation) -> None:
    """No private key, no pepper, no client secret and no master key, in any usual spelling."""
    made = installation.create_client("customers:read")
    context = installation.context
    rotated = lifecycle.rotate_secret(context.database, context.keyring(), made.client_id, TESTER)
    operations.rotate(context.database, context.policy, TESTER)

    dump = everything(installation)

    assert made.client_id.encode() in dump
    hidden = [
        *secrets_of(context.keyring()),
        base64.b64decode(MASTER_KEY),
        made.secret.encode(),
        rotated.secret.reveal().encode(),
    ]
    assert len(hidden) > 8
    assert not [one for one in hidden for spelling in spellings(one) if spelling in dump]


def test_the_search_would_find_what_it_looks_for(installation: Installation) -> None:
    """The sealed value, the digest and the kid are all seen in the same dump."""
    made = installation.create_client("customers:read")
    context = installation.context
    with context.database.read() as connection:
        sealed = store.sealed(connection)
    client = lifecycle.revoke_tokens(context.database, made.client_id, TESTER)

    dump = everything(installation)

    for stored in (*sealed.values(), client.credentials[0].digest):
        assert any(spelling in dump for spelling in spellings(stored))


@pytest.mark.spec("threats", "9", "encrypted at rest under the master key, bound to their kid")
def test_swapped_rows_do_not_open(installation: Installation) -> None:
    """Whoever writes the database cannot make one key sign under another's kid."""
    context = installation.context
    with context.database.write() as connection:
        (one, other) = store.sealed(connection, store.SIGNING).items()
        for (kind, name), content in ((one[0], other[1]), (other[0], one[1])):
            store.reseal(connection, kind, name, content)

    with pytest.raises(WrongMasterKey):
        context.keyring()


def test_a_row_moved_to_another_kind_does_not_open(installation: Installation) -> None:
    """A cursor key is no pepper."""
    context = installation.context
    with context.database.write() as connection:
        cursor = select(sealed_key.c.sealed).where(sealed_key.c.kind == store.CURSOR)
        content = connection.execute(cursor).scalar_one()
        connection.execute(
            update(sealed_key).where(sealed_key.c.kind == store.PEPPER).values(sealed=content)
        )

    with pytest.raises(WrongMasterKey):
        context.keyring()


@pytest.mark.spec(
    "contract", "Keys at rest", "hourpass keys rewrap re-encrypts, so a master key changes"
)
def test_a_master_key_is_changed_without_touching_one_client(installation: Installation) -> None:
    """Both lines while rewrapping, then the new one alone; every secret goes on working."""
    made = installation.create_client("customers:read")
    context = installation.context
    before = context.keyring()
    line = master.generate()
    old, both, new = (
        MasterKeys.parse(lines) for lines in (MASTER_KEY, f"{line}\n{MASTER_KEY}", line)
    )

    assert operations.rewrap(context.database, both) == 4

    with pytest.raises(WrongMasterKey):
        load(context, old)
    after = load(context, new)
    assert after.peppers == before.peppers
    assert after.private.keys() == before.private.keys()
    for kid, key in before.private.items():
        assert after.private[kid].to_pkcs8() == key.to_pkcs8()
    client = lifecycle.revoke_tokens(context.database, made.client_id, TESTER)
    assert proves(Secret(made.secret), client.credentials, after.peppers)


def test_rewrapping_with_a_wrong_key_changes_nothing(installation: Installation) -> None:
    """The old key has to be among the lines; all rows stay as they were."""
    context = installation.context
    with context.database.read() as connection:
        before = store.sealed(connection)

    with pytest.raises(WrongMasterKey):
        operations.rewrap(context.database, MasterKeys.parse(master.generate()))

    with context.database.read() as connection:
        assert store.sealed(connection) == before


def test_the_private_half_of_a_revoked_key_is_deleted(installation: Installation) -> None:
    """In the transaction that revokes it; its public half stays on record."""
    context = installation.context
    (first, *_) = context.keyring().keys
    operations.revoke(context.database, context.policy, first.kid, TESTER)

    with context.database.read() as connection:
        sealed = store.sealed(connection, store.SIGNING)
        keys = store.signing_keys(connection)

    assert (store.SIGNING, first.kid) not in sealed
    assert first.kid in {key.kid for key in keys}


def test_a_keyring_never_shows_what_it_holds(installation: Installation) -> None:
    """Not in its repr: no pepper, no private key."""
    ring = installation.context.keyring()
    shown = repr(ring).encode()

    assert ring.keys[0].kid.encode() in shown
    assert not [one for one in secrets_of(ring) if any(s in shown for s in spellings(one))]
    assert not [one for one in secrets_of(ring) if repr(one).encode() in shown]


def test_the_embedded_database_is_for_its_owner_alone(sqlite_installation: Installation) -> None:
    """Mode 0600: what is sealed is still nobody else's."""
    path: Path = sqlite_installation.context.settings.sqlite_path

    assert path.stat().st_mode & 0o777 == 0o600
