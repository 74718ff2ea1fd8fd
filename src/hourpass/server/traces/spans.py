"""OpenTelemetry traces: one span a request, and in `/token` one more for the wait for the commit.

The exporter is set by OpenTelemetry's own variables. Import this only when traces are wanted:
nothing of OpenTelemetry is loaded else. A span holds method, route, status, request ID and the
code of a refusal; nothing that a caller sent but its `traceparent` and `tracestate`.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hourpass import __version__
from hourpass.oauth.errors import OAuthError
from hourpass.server import request_ids
from hourpass.server.endpoints.http import Headers, all_of
from hourpass.server.tokens.authenticate import RawRequest
from hourpass.server.tokens.commit import CommitLoop, Joined
from hourpass.server.tokens.exchange import Refused

_LAST_EXPORT_S = 2.0
# Octets; W3C Trace Context asks for no more to be passed on. Longer ones the library tells the
# log of, each time, and older versions of it read in quadratic time, on the event loop.
_MAX_PARENT, _MAX_STATE = 128, 512
_propagator = TraceContextTextMapPropagator()


class Traces:
    """The spans of one process. Make it after a fork: it exports in a thread of its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ` may name the service (`OTEL_SERVICE_NAME`); the SDK reads the rest itself."""
        named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        attributes = {} if named else {SERVICE_NAME: "hourpass"}
        resource = Resource.create({SERVICE_VERSION: __version__, **attributes})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("hourpass", __version__)

    @contextmanager
    def request(self, headers: Headers) -> Iterator[Span]:
        """The span of a request, below the caller's own where it names one (W3C Trace Context)."""
        parents = all_of(headers, b"traceparent")
        carrier = {}
        if len(parents) == 1 and len(parents[0]) <= _MAX_PARENT:
            states = b",".join(all_of(headers, b"tracestate"))
            states = states if len(states) <= _MAX_STATE else b""
            carrier = {
                "traceparent": parents[0].decode("latin-1"),
                "tracestate": states.decode("latin-1"),
            }
        with self._tracer.start_as_current_span(
            "request",
            context=_propagator.extract(carrier),
            kind=SpanKind.SERVER,
            record_exception=False,  # its text is ours to log, not to send elsewhere
        ) as span:
            yield span

    def answered(
        self, span: Span, *, method: str, route: str, status: int, refused: OAuthError | None
    ) -> None:
        """Name and attributes of a request's span, as OpenTelemetry's conventions have them."""
        if not span.is_recording():
            return
        span.update_name(f"{method} {route}")
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        request_id = request_ids.current.get("")
        if request_id:
            span.set_attribute("hourpass.request_id", request_id)
        if refused is not None:
            span.set_attribute("error.type", refused.reason or refused.code)
        elif status >= 500 or not status:
            span.set_attribute("error.type", str(status or "no_answer"))
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        last = threading.Thread(target=self._provider.shutdown, name="last-traces", daemon=True)
        last.start()
        last.join(_LAST_EXPORT_S)

    def around(self, commits: CommitLoop[bytes]) -> "TracedCommits":
        """The commit loop, with a span for each wait."""
        return TracedCommits(commits, self)

    @contextmanager
    def waiting_for_commit(self) -> Iterator[None]:
        """Below the span of the request under way."""
        with self._tracer.start_as_current_span("commit", record_exception=False):
            yield


class TracedCommits:
    """Joins as the commit loop does."""

    def __init__(self, commits: CommitLoop[bytes], traces: Traces) -> None:
        self._commits = commits
        self._traces = traces

    async def join(self, joined: RawRequest | Joined) -> bytes | Refused:
        """See `CommitLoop`."""
        with self._traces.waiting_for_commit():
            return await self._commits.join(joined)
