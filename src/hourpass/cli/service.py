"""`hourpass serve`, `migrate` and `demo`."""

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from hourpass import __version__
from hourpass.cli.failures import guard
from hourpass.cli.output import AsJson, print_json, refuse, say
from hourpass.cli.scopes import faults_of, read_text
from hourpass.server import config, context, http_server, logs
from hourpass.server.app import EXIT_BROKEN, App
from hourpass.server.audit.events import SYSTEM, Origin
from hourpass.server.audit.partitions import keep_partitions
from hourpass.server.catalogue import apply as catalogue
from hourpass.server.catalogue import file
from hourpass.server.config import Settings
from hourpass.server.context import COMMAND_BUSY_TIMEOUT_S, SERVER_BUSY_TIMEOUT_S, Context
from hourpass.server.db import sqlite as embedded
from hourpass.server.metrics.shared import SharedCounting
from hourpass.server.operators import lifecycle
from hourpass.server.refused import Conflict
from hourpass.server.supervisor import Supervisor

_log = logging.getLogger("hourpass")


def serve(
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            help="Processes that serve; above 1 only with PostgreSQL. Default: HOURPASS_WORKERS.",
        ),
    ] = None,
) -> None:
    """Run the server. Its settings are in the environment and in hourpass.toml."""
    given = {} if workers is None else {"HOURPASS_WORKERS": str(workers)}
    settings = config.load({**os.environ, **given})
    logs.configure(settings.log_level)
    opened = context.open_context(
        settings,
        may_migrate=not settings.is_postgresql,
        busy_timeout_s=SERVER_BUSY_TIMEOUT_S,
    )
    try:
        faults = context.durability_faults(settings)
        if faults:
            refuse("the database would lose what was acknowledged: " + "; ".join(faults))
        if not settings.is_postgresql and not embedded.wal_is_safe:
            _log.warning(embedded.WEAK_VERSION_WARNING)
        _see_to_catalogue(opened)
        status = _listen_and_run(opened)
    finally:
        opened.database.close()
    if status:
        raise typer.Exit(status)


def migrate(as_json: AsJson = False) -> None:
    """Bring the database up to this version. Harmless when it is."""
    settings = config.load()
    with Console(stderr=True).status("bringing the database up to date …"):
        opened = context.open_context(
            settings, may_migrate=True, busy_timeout_s=COMMAND_BUSY_TIMEOUT_S
        )
        try:
            keep_partitions(opened.database)
        finally:
            opened.database.close()
    location = opened.database.location
    if as_json:
        state = "newer" if opened.was_newer else "current"
        print_json({"database": location, "version": __version__, "state": state})
    elif not opened.was_newer:  # else there was a line about it
        say(f"{location} is up to date.")


def demo(
    port: Annotated[int, typer.Option(help="Where the server listens.")] = 8080,
    api_port: Annotated[int, typer.Option(help="Where the example API listens.")] = 8081,
) -> None:
    """Start a demo, to try with curl.

    A server, an example API and three API clients, in a folder that is gone afterwards.
    """
    from hourpass.demo import run

    sys.exit(run.demo(port, api_port))


def _see_to_catalogue(opened: Context) -> None:
    """The embedded installation follows its file; a shared one is told when the file differs."""
    path = opened.settings.catalogue_file
    if path is None:
        return
    text = read_text(path)
    if opened.settings.catalogue is None and file.is_settings_only(text):
        return
    dry_run = opened.settings.is_postgresql
    with faults_of(path):
        wanted = file.parse(text)
        changes = catalogue.apply(
            opened.database,
            wanted,
            Origin(actor=SYSTEM),
            management_identifier=opened.management_identifier,
            dry_run=dry_run,
        )
    if changes and dry_run:
        _log.warning("the catalogue differs from %s; run `hourpass scopes apply %s`", path, path)
    elif changes:
        _log.info("the catalogue follows %s now", path)
        for name in catalogue.unknown_organizations(opened.database, wanted):
            _log.warning("an API is kept to %s, and there is no such organization yet", name)


def _show_set_up_link(opened: Context) -> None:
    """Only on a terminal: in a log somebody else could read it."""
    try:
        link = lifecycle.make_set_up_link(opened.database, Origin(actor=SYSTEM))
    except Conflict:  # somebody has signed up
        return
    say("Nobody has signed up yet. This link makes the first owner, once, within an hour:")
    sys.stdout.write(link.url(opened.settings.issuer) + "\n")
    sys.stdout.flush()


def _listen_for_metrics(settings: Settings) -> socket.socket | None:
    if settings.metrics_port is None:
        return None
    try:
        return http_server.listen(settings.metrics_host, settings.metrics_port)
    except OSError as fault:
        refuse(
            f"cannot listen on {settings.metrics_host} port {settings.metrics_port}: "
            f"{fault.strerror or fault}; set HOURPASS_METRICS_HOST and HOURPASS_METRICS_PORT"
        )


def _listen_and_run(opened: Context) -> int:
    """Serve until told to stop; the exit status."""
    settings = opened.settings
    if settings.tls_cert_file is not None and settings.tls_key_file is not None:
        try:
            http_server.check_tls(str(settings.tls_cert_file), str(settings.tls_key_file))
        except OSError as fault:
            reason = getattr(fault, "reason", None) or fault.strerror
            refuse(
                f"HOURPASS_TLS_CERT_FILE and _KEY_FILE cannot be used: {reason}; give PEM files "
                "that belong together and that this user can read"
            )
    try:
        listener = http_server.listen(settings.host, settings.port)
    except OSError as fault:
        refuse(
            f"cannot listen on {settings.host} port {settings.port}: {fault.strerror}; "
            "set HOURPASS_HOST and HOURPASS_PORT"
        )
    _log.info(
        "Hourpass %s at %s, listening on %s port %d, %s, %s",
        __version__,
        settings.issuer,
        settings.host,
        settings.port,
        opened.database.location,
        "one process" if settings.workers == 1 else f"{settings.workers} workers",
    )
    if sys.stdout.isatty():
        _show_set_up_link(opened)
    watcher = _listen_for_metrics(settings)
    if settings.workers == 1:
        return _run(opened, listener, watcher)
    return _supervise(opened, listener, watcher)


def _supervise(opened: Context, listener: socket.socket, watcher: socket.socket | None) -> int:
    """Serve by several workers; whatever is done once has been done before this."""
    opened.database.close()  # two processes cannot use one connection
    # What all processes share has to be there before the first fork. No thread is started here
    # (see `supervisor`): what needs one is a work of its own, `beside`.
    works = [partial(guard, partial(_work, opened, listener))] * opened.settings.workers
    if watcher is None:
        return Supervisor(works, listener).run()
    with SharedCounting() as counting:
        beside = partial(guard, partial(_show_metrics, opened, listener, watcher, counting))
        return Supervisor(works, listener, beside=[beside], on_end=counting.forget).run()


def _show_metrics(
    opened: Context, listener: socket.socket, watcher: socket.socket, counting: SharedCounting
) -> int:
    """What the process beside the workers does."""
    listener.close()  # else the kernel takes connections that nobody serves, when all are ending
    from hourpass.server.metrics import serving

    return serving.beside(opened, watcher, counting)


def _work(opened: Context, listener: socket.socket) -> int:
    """What one worker does, on connections of its own."""
    database = context.open_database(opened.settings, busy_timeout_s=SERVER_BUSY_TIMEOUT_S)
    with contextlib.closing(database):
        return _run(replace(opened, database=database), listener, ends_on=(signal.SIGTERM,))


def _run(
    opened: Context,
    listener: socket.socket,
    watcher: socket.socket | None = None,
    *,
    ends_on: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> int:
    settings = opened.settings
    app = App(opened)
    with contextlib.ExitStack() as stack:
        if watcher is not None and app.meters is not None:
            from hourpass.server.metrics import serving

            port = serving.of_this_process(opened, watcher, app.readiness, app.meters)
            stack.callback(port.close)
        http_server.run(
            app.asgi,
            listener,
            certificate=str(settings.tls_cert_file) if settings.tls_cert_file else None,
            key=str(settings.tls_key_file) if settings.tls_key_file else None,
            ends_on=ends_on,
            on_stop=app.readiness.stop,
        )
    return EXIT_BROKEN if app.broken else 0
