"""`/verify` and the limits on requests a minute: whose they are, and how they are told."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from hourpass.limits import Limiter, PerMinute
from hourpass.server.clients import lifecycle
from support.installation import CATALOGUE, TESTER, Credentials, Installation, Server
from support.valkey import Valkey

API = "https://api.example.com"
_LIMITED = CATALOGUE.replace('name = "Bookings API"', 'name = "Bookings API"\nlimit_per_minute = 5')
LIMITED = _LIMITED.replace(
    'description = "Read bookings"',
    'description = "Read bookings"\nlimit_per_minute = 3',
)
LIMITED = LIMITED.replace(
    '[[api]]\nkey = "billing"',
    '[[api.scope]]\nname = "bookings:all"\ndescription = "Everything"\n'
    'grants = ["GET /customer/{id}/bookings"]\n[[api]]\nkey = "billing"',
)
PROFILE = ("PUT", "/customer/7/profile")
BOOKINGS = ("GET", "/customer/7/bookings")
CUSTOMERS = ("GET", "/customers")


@pytest.fixture(scope="module")
def server(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose Bookings API has limits, and whose Billing API has none."""
    made = new_installation(tmp_path_factory.mktemp("limited"))
    made.apply_catalogue(LIMITED)
    made.catalogue.write_text(LIMITED)
    running = Server(made)
    yield running
    running.stop()
    made.close()


class Asking:
    """A client, its token, and what `/verify` says of its requests."""

    def __init__(self, server: Server, *scopes: str, limit: int | None = None) -> None:
        self.server = server
        self.credentials: Credentials = server.installation.create_client(
            *scopes, limit_per_minute=limit
        )
        self.token: str = server.token(self.credentials).json()["access_token"]

    def __call__(
        self, request: tuple[str, str] = CUSTOMERS, *, api: str = "bookings", query: str = ""
    ) -> httpx.Response:
        """One question."""
        return self.server.http.get(
            f"/verify?api={api}{query}",
            headers={
                "Authorization": f"Bearer {self.token}",
                "X-Forwarded-Method": request[0],
                "X-Forwarded-Uri": request[1],
            },
        )

    def statuses(self, number: int, request: tuple[str, str] = CUSTOMERS) -> list[int]:
        """How so many requests were answered."""
        return [self(request).status_code for _ in range(number)]


def remaining(answer: httpx.Response) -> dict[str, int]:
    """What is left, by the name of the limit; checks that both headers agree in form."""
    policies = re.findall(r'"([^"]+)";q=(\d+);w=60(?:, |$)', answer.headers["ratelimit-policy"])
    left = re.findall(r'"([^"]+)";r=(\d+);t=([1-9]\d?)(?:, |$)', answer.headers["ratelimit"])
    assert [name for name, _ in policies] == [name for name, _, _ in left]
    assert all(int(seconds) <= 60 for _, _, seconds in left)
    return {name: int(rest) for name, rest, _ in left}


@pytest.mark.spec("RFC 6585", "4", "429 Too Many Requests may include a Retry-After header")
def test_an_apis_limit_is_for_each_client(server: Server) -> None:
    """Every answer tells what is left; the sixth request is refused, another client's is not."""
    asking, other = Asking(server, "customers:read"), Asking(server, "customers:read")

    answers = [asking() for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert [remaining(answer) for answer in answers] == [{"client": n} for n in (4, 3, 2, 1, 0)]
    assert answers[0].headers["ratelimit-policy"] == '"client";q=5;w=60'
    assert answers[0].headers["x-hourpass-client-id"] == asking.credentials.client_id
    refused = asking()
    assert refused.status_code == 429
    assert refused.json()["error"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert remaining(refused) == {"client": 0}
    assert refused.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in refused.headers
    assert not [name for name in refused.headers if name.startswith("x-hourpass")]
    assert other().status_code == 200


def test_what_is_refused_costs_nothing(server: Server) -> None:
    """For whatever reason: no scope, a wrong path, a limit of one of two rules."""
    asking = Asking(server, "bookings:read", "profile:write")
    assert asking(CUSTOMERS).status_code == 403
    assert asking(("GET", "/customer//bookings")).status_code == 403
    assert asking(("GET", "/nowhere")).status_code == 403
    assert asking(api="billing").status_code == 401

    assert asking.statuses(4, BOOKINGS) == [200, 200, 200, 429]
    assert remaining(asking(BOOKINGS)) == {"client": 2, "scope:bookings:read": 0}
    answers = [asking(PROFILE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [remaining(answer) for answer in answers] == [{"client": n} for n in (1, 0, 0)]


def test_a_clients_own_limit_counts_from_the_next_request(server: Server) -> None:
    """In place of the API's, smaller or larger; and where the API has none."""
    asking = Asking(server, "customers:read", "invoices:read", limit=2)
    database = server.installation.context.database

    def limit(number: int | None) -> None:
        lifecycle.update(database, asking.credentials.client_id, TESTER, limit_per_minute=number)

    assert asking.statuses(3) == [200, 200, 429]
    limit(7)
    assert asking.statuses(6) == [200] * 5 + [429]
    limit(None)
    assert asking().headers["ratelimit-policy"] == '"client";q=5;w=60'
    billing = asking(("GET", "/invoices"), api="billing")
    assert billing.status_code == 200
    assert "ratelimit" not in billing.headers
    limit(1)
    assert asking(("GET", "/invoices"), api="billing").status_code == 200
    assert asking(("GET", "/invoices"), api="billing").status_code == 429


def test_a_scopes_limit_is_for_each_client(server: Server) -> None:
    """Requests that another scope grants do not count."""
    asking, other = (Asking(server, "customers:read", "bookings:read") for _ in range(2))
    assert asking.statuses(3, BOOKINGS) == [200] * 3
    assert asking(BOOKINGS).status_code == 429
    assert asking(CUSTOMERS).status_code == 200
    assert other(BOOKINGS).status_code == 200


def test_one_scope_more_never_allows_less(server: Server) -> None:
    """Of those that grant the request the most generous counts, if the token has it."""
    asking = Asking(server, "bookings:read", "bookings:all")
    assert asking.statuses(6, BOOKINGS) == [200] * 5 + [429]
    assert remaining(asking(BOOKINGS)) == {"client": 0}


def test_another_catalogue_counts_from_the_next_request(server: Server) -> None:
    """What was counted stays counted."""
    asking = Asking(server, "customers:read")
    assert asking.statuses(5) == [200] * 5
    server.installation.apply_catalogue(
        LIMITED.replace("limit_per_minute = 5", "limit_per_minute = 6")
    )
    try:
        assert asking.statuses(2) == [200, 429]
        server.installation.apply_catalogue()
        free = asking()
        assert free.status_code == 200
        assert "ratelimit" not in free.headers
    finally:
        server.installation.apply_catalogue(LIMITED)


def test_a_proxy_that_cannot_pass_429_on_gets_403(server: Server) -> None:
    """With the same headers, and a mark that no other 403 has."""
    asking = Asking(server, "customers:read", limit=1)
    assert asking(query="&limited=403").status_code == 200

    marked, plain = asking(query="&limited=403"), asking(query="&limited=1")

    assert (marked.status_code, plain.status_code) == (403, 429)
    assert marked.headers["x-hourpass-limited"] == "1"
    assert marked.content == plain.content
    for name in ("ratelimit-policy", "ratelimit", "retry-after"):
        assert name in marked.headers
    assert remaining(marked) == {"client": 0}
    assert "x-hourpass-limited" not in plain.headers
    denied = asking(("GET", "/nowhere"), query="&limited=403")
    assert denied.status_code == 403
    assert "x-hourpass-limited" not in denied.headers
    assert asking(query="&limited=403&limited=403").status_code == 403


def test_a_request_that_is_judged_itself_is_limited_too(server: Server) -> None:
    """`/verify/<key>/<path>`: the query there is the request's own."""
    asking = Asking(server, "customers:read", limit=1)
    path = "/verify/bookings/customers?limited=403"
    headers = {"Authorization": f"Bearer {asking.token}"}
    answers = [server.http.get(path, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


@pytest.mark.spec(
    "contract", "Settings", "HOURPASS_LIMITS_URL unset: limits in memory of each process"
)
def test_with_a_store_all_doors_hold_one_limit(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What another process counted is counted here; without the store requests go on."""
    store = Valkey(tmp_path_factory.mktemp("valkey"), password="hunter2")
    made = new_installation(tmp_path_factory.mktemp("shared"), HOURPASS_LIMITS_URL=store.url)
    made.apply_catalogue(LIMITED)
    made.catalogue.write_text(LIMITED)
    server = Server(made)
    try:
        asking = Asking(server, "customers:read")
        elsewhere = Limiter(store.url)
        rules = PerMinute(api=5).rules(API, asking.credentials.client_id)
        assert [elsewhere.take(rules).allowed for _ in range(3)] == [True] * 3
        elsewhere.close()
        assert remaining(asking()) == {"client": 1}
        assert asking.statuses(2) == [200, 429]

        store.hang()
        assert remaining(asking()) == {"client": 4}
        store.go_on()
        store.kill()
        answers = [asking() for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429]
        assert max(answer.elapsed.total_seconds() for answer in answers) < 1
    finally:
        server.stop()
        made.close()
        store.kill()
    log = server.log.read_text()
    assert log.count("the store of the rate limits is away") == 1
    assert "hunter2" not in log
