"""Logs, to stderr: lines for people on a terminal, JSON for everything else. Never a secret.

A line that belongs to a request carries its `request_id`, which is in its audit row as well.
"""

import logging
import sys

import structlog

from hourpass.server import request_ids

_FIELDS = {"request_id", "method", "route", "status", "milliseconds", "error"}
"""What a line may carry beside its words; anything else that a library adds is left out."""


def configure(level: str) -> None:
    """Send every logger's records to stderr at `level` and above.

    At debug only Hourpass itself says more: libraries would show what they were given.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=_FIELDS),
        _add_request_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        # Not the default, which shows the values of variables: a secret can be among them.
        plain = structlog.dev.plain_traceback
        last = structlog.dev.ConsoleRenderer(exception_formatter=plain)
    else:
        shared.append(structlog.processors.format_exc_info)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel("INFO" if level == "debug" else level.upper())
    logging.getLogger("hourpass").setLevel(level.upper())
    # A stranger's garbage is no news: it would only let strangers fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _add_request_id(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """That of the request under way, unless the line names another."""
    request_id = request_ids.current.get("")
    if request_id:
        line.setdefault("request_id", request_id)
    return line
