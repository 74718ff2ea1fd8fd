"""Floods of several kinds against a running server, over bare sockets."""

import asyncio
import base64
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from hourpass.oauth import secret_format
from hourpass.server.connections import files_allowed

_BODY = b"grant_type=client_credentials"
_SECRET = secret_format.generate()  # of the right form, and nobody's
_LOOPBACK = 200


def token_request(client_id: str, secret: str = _SECRET) -> bytes:
    """A token request with Basic credentials."""
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    head = (
        "POST /token HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: Basic {pair}\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    return head.encode() + _BODY


async def answer(reader: asyncio.StreamReader) -> int:
    """The status of the next answer; its body is read and forgotten."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
    return int(head[9:12])


async def unknown_ids(
    port: int, count: int, *, connections: int = 8, done: Callable[[int], object] = lambda _: None
) -> Counter[int]:
    """`count` client IDs that nobody has, each once, from several addresses; what was answered.

    `done` is told how many have been answered since the last time.
    """
    numbers = iter(range(count))
    found: Counter[int] = Counter()

    async def send(where: int) -> None:
        reader, writer = await connect(port, where)
        while batch := list(itertools.islice(numbers, 50)):
            writer.write(b"".join(token_request(f"m2m_{number:020}") for number in batch))
            for _ in batch:
                found[await answer(reader)] += 1
            done(len(batch))
        writer.close()

    await asyncio.gather(*(send(number) for number in range(connections)))
    return found


async def wrong_secrets(
    port: int,
    client_id: str,
    *,
    per_second: float,
    connections: int = 8,
    connected: Callable[[], object] = lambda: None,
) -> Counter[int]:
    """One client's ID with a wrong secret, evenly, until cancelled; what was answered.

    The next is sent when its time has come, whether the one before has its answer or not; the
    time runs from when `connected` is called.
    """
    found: Counter[int] = Counter()
    held = [await connect(port, 1) for _ in range(connections)]
    connected()

    async def read(reader: asyncio.StreamReader) -> None:
        while True:
            found[await answer(reader)] += 1

    reading = [asyncio.create_task(read(reader)) for reader, _ in held]
    began = time.monotonic()
    try:
        for number in itertools.count(1):
            held[number % connections][1].write(token_request(client_id))
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
    except asyncio.CancelledError:
        pass
    finally:
        for task, (_, writer) in zip(reading, held, strict=True):
            task.cancel()
            writer.close()
    return found


@asynccontextmanager
async def idle(port: int, count: int, send: bytes = b"") -> AsyncIterator[None]:
    """`count` connections that send these octets and then nothing, from several addresses.

    An address has 28,000 ports on most systems, and a process its files.
    """
    files_allowed()  # raises our own limit as far as it goes
    held: list[asyncio.StreamWriter] = []
    try:
        for first in range(0, count, 100):
            some = range(first, min(first + 100, count))
            opened = await asyncio.gather(*(connect(port, number) for number in some))
            held += [writer for _, writer in opened]
            for _, writer in opened:
                writer.write(send)
        yield
    finally:
        for writer in held:
            writer.transport.abort()


async def connect(port: int, where: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """From one of many addresses of this machine, chosen by number."""
    source = (f"127.8.0.{where % _LOOPBACK + 1}", 0)
    return await asyncio.open_connection("127.0.0.1", port, local_addr=source)


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
