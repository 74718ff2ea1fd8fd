"""Whose address the audit trail names, with a proxy in front and without."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from raw_http import Connection, token_request
from request_templates import POST, form
from token_answers import token_in

from support.installation import Installation, Server

TRUSTED = "127.0.0.1/32, 10.0.0.0/8, 2001:db8:1::/48"


@pytest.fixture(scope="module")
def behind_proxies(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that trusts this machine and two networks."""
    installation = new_installation(tmp_path_factory.mktemp("proxies") / "installation")
    running = Server(installation, HOURPASS_TRUSTED_PROXIES=TRUSTED)
    yield running
    running.stop()
    installation.close()


@pytest.fixture
def flooded(new_installation: Callable[..., Installation], tmp_path: Path) -> Iterator[Server]:
    """Another of the kind, to be looked at once it has ended."""
    installation = new_installation(tmp_path / "flooded")
    running = Server(installation, HOURPASS_TRUSTED_PROXIES=TRUSTED)
    yield running
    running.stop()
    installation.close()


def address_of_a_token(server: Server, *forwarded: str) -> str:
    """The address in the audit row of a token that was asked for so."""
    credentials = server.installation.create_client("customers:read")
    headers = [("X-Forwarded-For", value) for value in forwarded]
    token_in(form(POST, *headers).send(server, credentials))
    (event,) = server.installation.events(client_id=credentials.client_id, event="token.issued")
    address: str = event["ip"]
    return address


@pytest.mark.spec("contract", "Settings", "HOURPASS_TRUSTED_PROXIES: for the caller's IP only")
@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (("203.0.113.7",), "203.0.113.7"),
        (("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        (("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        (("203.0.113.7, 10.1.2.3",), "203.0.113.7"),
        (("198.51.100.1,203.0.113.7 ,10.1.2.3,\t10.9.9.9",), "203.0.113.7"),
        (("203.0.113.7, 2001:db8:1::5",), "203.0.113.7"),
        (("2001:DB8:0:0::7",), "2001:db8::7"),
        (("10.1.2.3, 10.4.5.6",), "10.1.2.3"),
        (("203.0.113.7, attacker",), "127.0.0.1"),
        (("203.0.113.7, fe80::1%attacker",), "127.0.0.1"),
        (("203.0.113.7" + ", 10.1.2.3" * 31,), "203.0.113.7"),
        (("203.0.113.7" + ", 10.1.2.3" * 700,), "10.1.2.3"),
        (("203.0.113.7, attacker, 10.1.2.3",), "10.1.2.3"),
        (("",), "127.0.0.1"),
        ((), "127.0.0.1"),
        (("\x1b[2J".replace("\x1b", "é"),), "127.0.0.1"),
        ((", ".join(["203.0.113.7"] * 300),), "203.0.113.7"),
    ],
)
def test_behind_a_trusted_proxy_it_is_the_last_hop_that_none_of_them_wrote(
    behind_proxies: Server, forwarded: tuple[str, ...], address: str
) -> None:
    """What the caller wrote itself stands further left, and counts for nothing."""
    assert address_of_a_token(behind_proxies, *forwarded) == address


@pytest.mark.parametrize("forwarded", [("203.0.113.7",), ("203.0.113.7, 127.0.0.1",), ("::1",)])
def test_without_trusted_proxies_the_header_is_ignored(
    shared_server: Server, forwarded: tuple[str, ...]
) -> None:
    """Anybody can write it."""
    assert str(address_of_a_token(shared_server, *forwarded)).startswith("127.0.1.")


@pytest.mark.parametrize(
    "header", ["X-Real-IP", "Forwarded", "True-Client-IP", "X_Forwarded_For", "Client-IP"]
)
def test_no_other_header_tells_an_address(behind_proxies: Server, header: str) -> None:
    """Only the one that the proxies are known to overwrite or append to."""
    credentials = behind_proxies.installation.create_client("customers:read")

    token_in(form(POST, (header, "203.0.113.7")).send(behind_proxies, credentials))

    (event,) = behind_proxies.installation.events(
        client_id=credentials.client_id, event="token.issued"
    )
    assert event["ip"] == "127.0.0.1"


@pytest.mark.spec("contract", "Audit events", "At most 1,000 open counters a process")
def test_refusals_from_ever_more_addresses_share_a_counter_in_the_end(
    flooded: Server,
) -> None:
    """A row for each of a thousand address blocks, then one for all others."""
    installation = flooded.installation
    nobody = installation.create_client("customers:read")
    with Connection(flooded) as connection:
        for block in range(24):
            requests = [
                token_request(nobody, f"X-Forwarded-For: 203.{block}.0.{host}").replace(
                    b"hps_", b"hps-"
                )
                for host in range(50)
            ]
            connection.send(b"".join(requests))
            assert {connection.answer().status for _ in requests} == {401}
    assert flooded.stop() == 0

    rows = [event["detail"] for event in installation.events(event="token.refused")]
    first = [detail for detail in rows if "count" not in detail]
    assert len([detail for detail in first if detail["reason"] == "malformed"]) == 1000
    assert [detail["reason"] for detail in first[1000:]] == ["too_many_kinds"]
    assert [detail["count"] for detail in rows if "count" in detail] == [199]
