#!/usr/bin/env python3
"""Writes the public keys of a Hourpass server as the PEM files that haproxy.cfg names.

    fetch_keys.py ISSUER FOLDER && systemctl reload haproxy

Run it every five minutes (cron, or a systemd timer): the server publishes a new key at least six
minutes before it signs with it. Exit status 0: a file has changed, so reload HAProxy; 1: nothing
has; 2: the keys could not be fetched, and the files are as they were.

Needs nothing but Python 3.9 or newer.
"""

import base64
import binascii
import json
import sys
import textwrap
import urllib.request
from pathlib import Path

SLOTS = 5  # as many as haproxy.cfg names
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")


def main(issuer: str, folder: Path) -> int:
    """Fetch, convert, write."""
    address = issuer.rstrip("/") + "/.well-known/jwks.json"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  (the operator's own address)
            pems = [pem(key) for key in json.loads(answer.read(65_536))["keys"]]
        if not 1 <= len(pems) <= SLOTS:
            raise ValueError(f"{len(pems)} keys, and haproxy.cfg names {SLOTS} files")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"{address}: {fault}; the files are as they were", file=sys.stderr)
        return 2
    # A file that is not needed repeats the first key: HAProxy wants every file that is named.
    pems += pems[:1] * (SLOTS - len(pems))
    changed = [write(folder / f"{n}.pem", text) for n, text in enumerate(pems, 1)]
    return 0 if any(changed) else 1


def write(file: Path, text: str) -> bool:
    """Whether the file was another; it is whole at any moment."""
    if file.exists() and file.read_text("ascii") == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(text, "ascii")
    new.replace(file)
    return True


def pem(key: dict) -> str:
    """The SubjectPublicKeyInfo (RFC 5280) of a JWK; ValueError for a key HAProxy cannot use."""
    if key["kty"] == "EC" and key["crv"] == "P-256":
        der = _P256 + octets(key["x"], 32) + octets(key["y"], 32)
    elif key["kty"] == "RSA":
        numbers = integer(octets(key["n"])) + integer(octets(key["e"]))
        der = tagged(0x30, _RSA + tagged(0x03, b"\0" + tagged(0x30, numbers)))
    else:
        raise ValueError(f"HAProxy verifies no {key['kty']} key: use ES256 or RS256")
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"


def octets(text: str, length: int = 0) -> bytes:
    """base64url without padding (RFC 7515 section 2), of a length where it matters."""
    try:
        found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as fault:
        raise ValueError(f"a key is not base64url: {fault}") from fault
    if length and len(found) != length:
        raise ValueError(f"a coordinate has {len(found)} octets")
    return found


def integer(value: bytes) -> bytes:
    """A positive INTEGER in DER."""
    value = value.lstrip(b"\0") or b"\0"
    return tagged(0x02, (b"\0" if value[0] & 0x80 else b"") + value)


def tagged(tag: int, content: bytes) -> bytes:
    """Tag, length and content in DER."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: fetch_keys.py ISSUER FOLDER")
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
