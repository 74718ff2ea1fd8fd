"""Whether traces are wanted, by OpenTelemetry's own variables; what keeps them from being made.

Nothing of OpenTelemetry is loaded here.
"""

import importlib.util
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hourpass.server.traces.spans import Traces

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_log = logging.getLogger(__name__)


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether `OTEL_TRACES_EXPORTER`, or an endpoint of the exporter, asks for traces."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter != "none"
    return any(environ.get(name) for name in _ENDPOINTS)


def obstacle(environ: Mapping[str, str]) -> str:
    """Why there will be no traces though they are wanted, and what to do; empty: nothing."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in ("", "otlp"):
        return "OTEL_TRACES_EXPORTER is not otlp, the only exporter there is; set it to otlp"
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol.strip().lower() != "http/protobuf":
        return f"{_PROTOCOLS[1]} is not http/protobuf, the only protocol there is; set it so"
    if not all(map(_is_installed, _NEEDED)):
        return "OpenTelemetry is not installed: pip install 'hourpass[server,otel]'"
    return ""


def from_environment(environ: Mapping[str, str]) -> "Traces | None":
    """The traces that are wanted; a warning in the log when they cannot be had."""
    if not is_wanted(environ):
        return None
    problem = obstacle(environ)
    if not problem:
        from hourpass.server.traces.spans import Traces

        try:
            return Traces(environ)
        except Exception as fault:  # noqa: BLE001  (a wrong value of one of OTEL's variables)
            problem = f"{type(fault).__name__}: look at the variables that begin OTEL_"
    _log.warning("no traces, though OTEL_ variables ask for them: %s", problem)
    return None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
