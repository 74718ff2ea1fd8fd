"""What has to be so for every form there is: who sent it, and whatever is in it."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from hourpass.server.admin.pages import ALL
from support.desk import hire, visitor
from support.installation import Installation, Server

FORMS = sorted({page.route.path for page in ALL if page.method == "POST"})
PAGES = sorted({page.route.path for page in ALL if page.method == "GET"})
HERE = {"Sec-Fetch-Site": "same-origin"}
FORM = "application/x-www-form-urlencoded"
FIELDS = [
    "name",
    "description",
    "scope",
    "expires_in_days",
    "limit_per_minute",
    "organization",
    "nonce",
    "version",
    "revoke",
    "password",
    "code",
    "new",
    "email",
    "role",
    "id",
    "token",
    "step",
    "next",
    "format",
    "ceremony",
    "response",
    "app_code",
    "event",
    "client_id",
    "actor",
    "since",
    "until",
    "link",
    "kid",
    "next_key",
]
NONSENSE = {
    "NUL": "%00",
    "bad UTF-8": "%FF%C3%28",
    "half a pair": "%ED%A0%80",
    "right to left": "%E2%80%AE",
    "long": "x" * 1500,
    "number": "-1",
    "huge number": "9" * 60,
    "markup": "%3Cscript%3E",
    "a line end": "a%0D%0AX-Evil:%201",
    "empty": "",
}
NUMBERS = ["expires_in_days", "limit_per_minute", "version", "code", "after", "cursor"]
TOO_LONG = "9" * 5000  # Python reads no number of more than 4,300 digits


@pytest.fixture(scope="module")
def own_server(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for forms that may suspend whatever they find."""
    made = new_installation(tmp_path_factory.mktemp("forms"))
    made.context  # noqa: B018  (migrates)
    running = Server(made)
    yield running
    running.stop()
    made.close()


@pytest.fixture
def http(own_server: Server) -> Iterator[httpx.Client]:
    """An owner of the installation, who has just signed in."""
    with visitor(own_server) as client:
        yield client


def address(server: Server, path: str, name: str | None = None) -> str:
    """A form's address; each name in it is something that is there, or `name`."""
    client = server.installation.create_client("customers:read")
    names = {"client_id": client.client_id, "organization_id": "default"}
    if "{operator_id}" in path:
        names["operator_id"] = hire(server.installation).operator_id
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: name or names.get(found[1], "x"), path)


def key_of(http: httpx.Client) -> str:
    """What forms of this session carry."""
    found = re.search(r'name="csrf" value="(\w+)"', http.get("/admin/account").text)
    assert found is not None
    return found[1]


def newest(installation: Installation) -> str:
    """The ID of the last audit event."""
    return str(installation.events()[-1]["id"])


@pytest.mark.spec("threats", "16", "CSRF on every POST (including text/plain JSON)")
@pytest.mark.parametrize("path", FORMS)
def test_a_form_from_elsewhere_does_nothing(
    path: str, http: httpx.Client, own_server: Server
) -> None:
    """By what the browser says of the page that sent it, by its type, by its key."""
    where, key = address(own_server, path), key_of(http)
    body = f"csrf={key}&name=x&token=x"
    before = newest(own_server.installation)
    refused = [
        {"Content-Type": FORM},
        *({"Content-Type": FORM, "Sec-Fetch-Site": site} for site in ("cross-site", "same-site")),
        {"Content-Type": FORM, "Sec-Fetch-Site": "none"},
        {"Content-Type": FORM, "Origin": "https://evil.example"},
        {"Content-Type": FORM, "Origin": "null"},
        {"Content-Type": FORM, "Origin": "http://["},
        {"Content-Type": FORM, "Origin": "http://evil.example", "Host": "evil.example"},
        {"Content-Type": "text/plain", **HERE},
        {"Content-Type": "application/json", **HERE},
        {"Content-Type": "multipart/form-data; boundary=x", **HERE},
        HERE,
    ]

    answers = [http.post(where, headers=headers, content=body) for headers in refused]
    keyless = http.post(where, headers=HERE, data={"name": "x"})
    wrong = http.post(where, headers=HERE, data={"csrf": "0" * 64})

    assert [answer.status_code for answer in answers] == [403] * len(refused)
    assert (keyless.status_code, wrong.status_code) == (409, 409)
    assert newest(own_server.installation) == before


def test_an_older_browser_is_known_by_its_origin(http: httpx.Client, own_server: Server) -> None:
    """One that sends no Sec-Fetch-Site."""
    headers = {"Origin": own_server.url}

    answer = http.post("/admin/sign-out", headers=headers, data={"csrf": key_of(http)})

    assert answer.headers["location"] == "/admin/sign-in"


@pytest.mark.parametrize("path", [path for path in FORMS if "sign-out" not in path])
def test_nonsense_in_every_field_is_never_a_fault_of_ours(
    path: str, http: httpx.Client, own_server: Server
) -> None:
    """And no header of the answer is made of it."""
    key = key_of(http)
    headers = {"Content-Type": FORM, **HERE}
    for kind, text in NONSENSE.items():
        body = f"csrf={key}&" + "&".join(f"{field}={text}" for field in FIELDS)
        answer = http.post(address(own_server, path), headers=headers, content=body)
        assert answer.status_code < 500, kind
        assert "x-evil" not in answer.headers, kind
    body = f"csrf={key}&name=x&" + "&".join(f"{field}={TOO_LONG}" for field in NUMBERS)
    answer = http.post(address(own_server, path), headers=headers, content=body)
    assert answer.status_code < 500
    for name in ("%00", "%ED%A0%80", "x" * 300, "%E2%80%AE"):
        where = address(own_server, path, name)
        answer = http.post(where, headers=headers, content=f"csrf={key}")
        assert answer.status_code < 500, name


@pytest.mark.parametrize("path", PAGES)
def test_nonsense_in_every_address_is_never_a_fault_of_ours(
    path: str, http: httpx.Client, own_server: Server
) -> None:
    """Also far too many parameters, and cookies that are none."""
    queries = [
        "&".join(f"{field}={text}" for field in (*FIELDS, "cursor", "status", "search", "per"))
        for text in NONSENSE.values()
    ]
    numbers = [f"{field}={TOO_LONG}" for field in NUMBERS]
    there = address(own_server, path)
    for query in (*queries, *numbers, "a=b&" * 500, "%%%&&=;"):
        with http.stream("GET", f"{there}?{query}") as answer:
            assert answer.status_code < 500, query[:40]
    for name in ("%00", "%ED%A0%80", "x" * 300, "..%2f.."):
        with http.stream("GET", address(own_server, path, name)) as answer:
            assert answer.status_code < 500, name
    for cookie in ("hourpass=\xff\x00", "hourpass", "=;=", "hourpass=" + "x" * 4000):
        odd = {"Cookie": cookie.encode("latin-1").decode("latin-1")} if "\x00" not in cookie else {}
        with httpx.Client(base_url=own_server.url, trust_env=False) as other:
            answer = other.get(there, headers=odd)
            assert answer.status_code < 500, cookie[:20]


def test_what_is_too_much_is_refused(http: httpx.Client) -> None:
    """A body over 64 KiB, a thousand fields; other methods, addresses that are none."""
    key = key_of(http)
    headers = {"Content-Type": FORM, **HERE}
    huge = http.post("/admin/clients/new", headers=headers, content=b"x" * 70_000)
    many = http.post("/admin/clients/new", headers=headers, content=f"csrf={key}&" + "a=b&" * 1500)

    assert (huge.status_code, many.status_code) == (413, 413)
    assert http.head("/admin/clients").status_code == 200
    assert http.get("/admin/sign-out").status_code == 405
    assert http.get("/admin/nothing/at/all").status_code == 404
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert http.request(method, "/admin/clients").status_code in (404, 405)
    assert http.get("/admin").status_code in (200, 303)
