"""Traces, as a collector receives them: OTLP over HTTP, decoded."""

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.installation import Credentials, Installation, Server
from support.metrics import until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """Takes what exporters send to `/v1/traces`."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    outer.bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def requests(self) -> list[ExportTraceServiceRequest]:
        """All that was sent."""
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    def spans(self) -> list[Span]:
        """Every span so far."""
        return [
            span
            for request in self.requests()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of(self, name: str) -> list[Span]:
        """Those of this name, once there is one."""
        until(lambda: any(span.name == name for span in self.spans()))
        return [span for span in self.spans() if span.name == name]

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def attributes(span: Span) -> dict[str, Any]:
    """By name; strings and integers."""
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """One for all tests here."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def traced(
    collector: Collector,
    new_installation: Callable[..., Installation],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server that sends its spans there."""
    installation = new_installation(tmp_path_factory.mktemp("traced"))
    collector.bodies.clear()
    running = Server(
        installation,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    yield running
    running.stop()
    installation.close()


def test_a_token_request_is_a_span_below_the_callers_with_one_for_the_commit(
    traced: Server, collector: Collector
) -> None:
    """Names and attributes as OpenTelemetry's conventions have them."""
    client = traced.installation.create_client("customers:read")
    answer = traced.http.post(
        "/token",
        data={"grant_type": "client_credentials"},
        headers={**client.basic, "traceparent": PARENT},
    )
    assert answer.status_code == 200

    (request,) = collector.of("POST /token")
    (commit,) = collector.of("commit")
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.trace_id.hex() == commit.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    assert commit.parent_span_id == request.span_id
    assert (
        request.start_time_unix_nano
        <= commit.start_time_unix_nano
        <= commit.end_time_unix_nano
        <= request.end_time_unix_nano
    )
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/token",
        "http.response.status_code": 200,
        "hourpass.request_id": answer.headers["x-request-id"],
    }
    resource = {pair.key: pair.value.string_value for pair in _resource(collector)}
    assert resource["service.name"] == "hourpass"


def test_a_callers_context_that_is_too_long_is_left_out(
    traced: Server, collector: Collector
) -> None:
    """And nothing is said of it: a stranger's garbage is no news."""
    for headers in (
        {"traceparent": PARENT, "tracestate": "a=" + " " * 6000 + "b"},
        {"traceparent": PARENT + "-" + "x" * 6000},
    ):
        assert traced.http.get("/authorize", headers=headers).status_code == 400

    until(lambda: len(collector.of("GET /authorize")) == 2)
    spans = collector.of("GET /authorize")
    assert {span.parent_span_id.hex() for span in spans} == {PARENT.split("-")[2], ""}
    assert all(not span.trace_state for span in spans)
    assert "maximum length" not in traced.log.read_text()


def test_refusals_say_what_they_are_and_spans_hold_no_secret(
    traced: Server, collector: Collector
) -> None:
    """Whatever is sent, and wherever: in paths, queries, headers and bodies."""
    installation = traced.installation
    client = installation.create_client("customers:read", name="Zebra sync")
    wrong = Credentials(client.client_id, client.secret[:-1] + "x")
    answers = [
        traced.token(wrong),
        traced.http.get(f"/verify/bookings/{client.secret}?q={client.secret}"),
        traced.http.get(f"/api/v1/clients/{client.client_id}?x={client.secret}"),
        traced.http.get(f"/admin/clients/{client.client_id}"),
        traced.http.get(f"/{client.secret}"),
        traced.http.request("PROPFIND", "/token"),
    ]
    token = traced.token(client).json()["access_token"]

    refused = [span for span in collector.of("POST /token") if _status(span) == 401]
    assert attributes(refused[0])["error.type"] == "invalid_client"
    assert not refused[0].status.code, "a refusal is no error of the server"
    assert attributes(collector.of("GET /verify/{api}/{path}")[0])["error.type"]
    assert _status(collector.of("GET /api/v1/clients/{client_id}")[0]) == 401
    assert collector.of("GET /admin/clients/{client_id}")
    assert _status(collector.of("GET none")[0]) == 404
    assert attributes(collector.of("_OTHER /token")[0])["http.request.method"] == "_OTHER"
    assert [answer.status_code for answer in answers][-2:] == [404, 405]
    sent = b"".join(collector.bodies)
    for kept in (client.secret, client.client_id, token, "ebra", client.basic["Authorization"]):
        assert kept.encode() not in sent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is not otlp"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf",
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, ""),
        ({}, ""),
    ],
)
def test_why_there_are_no_traces_is_said(
    given: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when they were asked for, none when they were not."""
    from hourpass.server.traces import wanted

    assert wanted.from_environment(given) is None
    if words:
        (record,) = caplog.records
        assert words in record.getMessage()
    else:
        assert caplog.records == []


def test_without_the_extra_the_server_says_what_to_install(
    sqlite_installation: Installation,
) -> None:
    """And serves."""
    hide = (
        "import sys, runpy\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('opentelemetry'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "sys.argv = ['hourpass', 'serve']\n"
        "runpy.run_module('hourpass', run_name='__main__')\n"
    )
    script = sqlite_installation.folder / "hidden.py"
    script.write_text(hide)
    server = Server(
        sqlite_installation,
        program=(sys.executable, str(script)),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )
    try:
        client = sqlite_installation.create_client("customers:read")
        assert server.token(client).status_code == 200
    finally:
        server.stop()

    lines = [line for line in server.log.read_text().splitlines() if "OpenTelemetry" in line]
    assert len(lines) == 1
    assert "pip install 'hourpass[server,otel]'" in lines[0]


def _status(span: Span) -> int:
    return int(attributes(span).get("http.response.status_code", 0))


def _resource(collector: Collector) -> Any:
    return collector.requests()[0].resource_spans[0].resource.attributes
