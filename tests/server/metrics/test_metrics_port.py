"""The metrics port of a running server: what it counts, what it knows, what it never shows."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from hourpass.oauth.errors import TooManyAttempts
from hourpass.server import routes
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Event
from hourpass.server.db.engine import Dialect
from support import forged_tokens
from support.installation import TESTER, Installation, Server, clean_environ
from support.metrics import Metrics
from support.ports import free_port

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"\b(?:hourpass|process)_[a-z][a-z0-9_]*")
ROW = re.compile(r"^\| `((?:hourpass|process)_[a-z_]+)` ")
DERIVED = re.compile(r"_(?:bucket|sum|count)$")
SELECTED = re.compile(r"\b((?:hourpass|process)_[a-z_]+)\{([^}]*)\}")
WANTED = re.compile(r'(\w+)=~?"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SHOWN = re.compile(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}")
OF_PROMETHEUS = {"job", "instance"}  # labels that it adds to everything
FORM = {"grant_type": "client_credentials"}


class Counted:
    """A server and its metrics."""

    def __init__(self, installation: Installation) -> None:
        self.metrics = Metrics(free_port())
        self.installation = installation
        self.server = Server(installation, **self.metrics.setting)


@pytest.fixture(scope="module")
def counted(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counted]:
    """One server for all tests here: they look at what is added."""
    made = Counted(new_installation(tmp_path_factory.mktemp("metrics")))
    yield made
    made.server.stop()
    made.installation.close()


def test_tokens_and_refusals_are_counted_by_reason(counted: Counted) -> None:
    """Issued, refused with a word of ours, and nothing of what the caller wrote."""
    server, metrics = counted.server, counted.metrics
    client = counted.installation.create_client("customers:read", name="Zebra sync")
    before = metrics.samples()
    for _ in range(3):
        assert server.token(client).status_code == 200
    stranger = {"client_id": "m2m_" + "0" * 20, "client_secret": client.secret, **FORM}
    assert server.http.post("/token", data=stranger).status_code == 401
    assert server.token(client, scope="zebra:stripes").status_code == 400
    assert server.token(client, grant_type="password").status_code == 400
    assert server.http.post("/token", json={"client_id": "zebra"}).status_code == 401

    def added(wanted: float, name: str, **labels: str) -> None:
        old = before.get((name, frozenset(labels.items())), 0.0)
        metrics.becomes(old + wanted, name, **labels)

    added(3, "hourpass_tokens_issued_total")
    added(1, "hourpass_refusals_total", reason="unknown_client")
    added(1, "hourpass_refusals_total", reason="invalid_scope")
    added(1, "hourpass_refusals_total", reason="unsupported_grant_type")
    added(1, "hourpass_refusals_total", reason="no_credentials")
    added(7, "hourpass_commit_batch_size_sum")
    added(3, "hourpass_http_responses_total", endpoint="token", status="200")
    added(2, "hourpass_http_responses_total", endpoint="token", status="401")
    shown = metrics.text()
    assert "ebra" not in shown
    assert client.client_id not in shown
    assert metrics.value("hourpass_commit_seconds_count") > 0
    assert metrics.value("hourpass_queue_depth", queue="commit") == 0


def test_online_checks_are_counted_by_outcome(counted: Counted) -> None:
    """A token that passes, one that lacks the scope, one that is none; and introspection."""
    server, metrics, installation = counted.server, counted.metrics, counted.installation
    client = installation.create_client("customers:read")
    api = installation.create_client("hourpass.introspect:bookings")
    token = server.token(client).json()["access_token"]

    def verify(token: str, uri: str) -> int:
        asked = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": uri}
        headers = {"Authorization": f"Bearer {token}", **asked}
        return server.http.get("/verify?api=bookings", headers=headers).status_code

    assert verify(token, "/customers") == 200
    assert verify(token, "/customer/1/bookings") == 403
    assert verify("none", "/customers") == 401
    forged = forged_tokens.signed(
        installation, forged_tokens.claims_of(installation, client.client_id), exp=1
    )
    for asked in (token, forged):
        answer = server.http.post("/introspect", data={"token": asked}, headers=api.basic)
        assert answer.status_code == 200

    for endpoint, outcome in (
        ("verify", "allowed"),
        ("verify", "insufficient_scope"),
        ("verify", "invalid_token"),
        ("introspect", "active"),
        ("introspect", "inactive"),
    ):
        metrics.becomes(1, "hourpass_online_checks_total", endpoint=endpoint, outcome=outcome)


def test_the_database_is_asked_once_a_minute(
    new_installation: Callable[..., Installation], tmp_path: Path
) -> None:
    """Clients and keys as they were when first asked for, however often somebody asks."""
    installation = new_installation(tmp_path / "figures")
    installation.create_client("customers:read", expires_in_days=5)
    installation.create_client("customers:read", expires_in_days=20)
    database = installation.context.database
    with database.write() as connection:
        event = AuditEvent(event=Event.AUDIT_EXPORTED, origin=TESTER)
        audit.record(connection, [event], datetime(2199, 1, 1, tzinfo=UTC))
    metrics = Metrics(free_port())
    server = Server(installation, **metrics.setting)
    try:
        metrics.becomes(2, "hourpass_clients", status="active")
        installation.create_client("customers:read")

        shown = metrics.samples()
        assert shown["hourpass_clients", frozenset({("status", "active")})] == 2
        assert shown["hourpass_clients_expiring", frozenset({("within_days", "7")})] == 1
        assert shown["hourpass_clients_expiring", frozenset({("within_days", "30")})] == 2
        elsewhere = float(database.dialect is Dialect.POSTGRESQL)  # SQLite has no partitions
        assert shown["hourpass_audit_rows_elsewhere", frozenset()] == elsewhere
        assert shown["hourpass_signing_keys", frozenset({("state", "active")})] == 1
        activated = shown["hourpass_signing_key_activated_timestamp_seconds", frozenset()]
        rotation = shown["hourpass_signing_key_rotation_timestamp_seconds", frozenset()]
        assert 89 * 86400 < rotation - activated < 91 * 86400
        assert shown["hourpass_database_up", frozenset()] == 1
    finally:
        server.stop()
        installation.close()


def test_the_port_answers_to_two_paths_only(counted: Counted) -> None:
    """And to nothing that changes anything; the public port knows nothing of metrics."""
    metrics = counted.metrics

    assert metrics.get("/").status_code == 404
    assert metrics.get("/metrics/x").status_code == 404
    assert counted.server.http.get("/metrics").status_code == 404
    ready = metrics.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    posted = metrics.get("/readyz", "POST")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


def test_a_port_that_is_taken_is_said_so(sqlite_installation: Installation) -> None:
    """One line that names the setting; nothing is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = {"HOURPASS_METRICS_PORT": str(taken.getsockname()[1])}
        ended = sqlite_installation.command("serve", environ=port)

    assert ended.status == 1
    lines = ended.stderr.splitlines()
    assert "set HOURPASS_METRICS_HOST and HOURPASS_METRICS_PORT" in lines[-1]
    assert "Traceback" not in ended.stderr


def test_without_the_setting_nothing_of_it_is_loaded(sqlite_installation: Installation) -> None:
    """Nor of OpenTelemetry: a server that only issues tokens starts as fast as before."""
    script = (
        "import sys\n"
        "from hourpass.server import config, context\n"
        "from hourpass.server.app import App\n"
        "App(context.open_context(config.load(), busy_timeout_s=1))\n"
        "print([name for name in ('prometheus_client', 'opentelemetry') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**clean_environ(), **sqlite_installation.environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.strip() == "[]"


def exported(metrics: Metrics) -> set[str]:
    """The names that a scrape shows, as its TYPE lines have them."""
    return set(re.findall(r"^# TYPE (\S+)", metrics.text(), re.MULTILINE))


def test_page_dashboard_and_alerts_name_what_is_exported(counted: Counted) -> None:
    """Every metric that the three name is there; every one that is there is in the page's table."""
    shown = exported(counted.metrics)
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    named = {
        path: set(NAMED.findall((ROOT / path).read_text("utf-8")))
        for path in (
            "docs/metrics.md",
            "deploy/grafana/hourpass.json",
            "deploy/prometheus/hourpass.rules.yml",
        )
    }

    for path, names in named.items():
        assert names, path
        assert {DERIVED.sub("", name) for name in names} <= shown, path
    table = {row for line in page.splitlines() for row in ROW.findall(line)}
    assert table == shown


def test_what_raises_an_alert_is_there_before_it_happens(counted: Counted) -> None:
    """At 0, for each endpoint: of a series that begins at 1 Prometheus sees no growth."""
    shown = counted.metrics.samples()

    for endpoint in routes.NAMES:
        for status in ("500", "503"):
            labels = frozenset({("endpoint", endpoint), ("status", status)})
            assert shown.get(("hourpass_http_responses_total", labels)) == 0, (endpoint, status)


def asked() -> Iterator[tuple[str, str]]:
    """Each expression of the alerts and the dashboard, and the texts that show its labels."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/hourpass.rules.yml").read_text("utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["expr"], " ".join(rule["annotations"].values())
    dashboard = json.loads((ROOT / "deploy/grafana/hourpass.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target.get("legendFormat", "")


def test_dashboard_and_alerts_ask_for_labels_that_there_are(counted: Counted) -> None:
    """And for values of theirs that there can be: a misspelt one would match nothing, for ever."""
    values: dict[tuple[str, str], set[str]] = {}
    for name, labels in counted.metrics.samples():
        for label, value in labels:
            values.setdefault((name, label), set()).add(value)
    # Counted once it happens; all that is alerted on is there from the start.
    values["hourpass_http_responses_total", "status"].add(str(TooManyAttempts.status))

    for expression, text in asked():
        there = {label for name, label in values if name in NAMED.findall(expression)}
        for name, selector in SELECTED.findall(expression):
            for label, wanted in WANTED.findall(selector):
                if label not in OF_PROMETHEUS:
                    known = values.get((name, label), set())
                    assert set(wanted.split("|")) <= known, (expression, label)
        lists = GROUPED.findall(expression)
        grouped = {label.strip() for labels in lists for label in labels.split(",")}
        assert grouped <= there | OF_PROMETHEUS, expression
        left = grouped if lists else there | OF_PROMETHEUS
        assert set(SHOWN.findall(text)) <= left, (expression, text)
