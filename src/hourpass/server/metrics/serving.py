"""Who serves the metrics port: the one process that serves, or a process beside several.

    one process       its own threads, its own counters
    several           a process beside them, which adds up what they counted

Not the parent of several: it starts a new process when one has died, and a process that forks
must have no threads, while a port that answers in time needs some.
"""

import signal
import socket
import threading
import time
from types import FrameType

from hourpass.server.context import SERVER_BUSY_TIMEOUT_S, Context, open_database
from hourpass.server.metrics import collectors
from hourpass.server.metrics.meters import UNWELL, Meters
from hourpass.server.metrics.port import MetricsPort
from hourpass.server.metrics.shared import SharedCounting
from hourpass.server.metrics.store import Figures
from hourpass.server.readiness import Readiness, readiness

_END_WITHIN_S = 15.0


def of_this_process(
    context: Context, listener: socket.socket, ready: Readiness, meters: Meters
) -> MetricsPort:
    """The port of a server of one process, answering. Close it when done."""
    database = context.database
    pids = collectors.this_process
    collectors.register(meters.registry, ready, Figures(database), database.dialect, pids)
    port = MetricsPort(listener, meters.registry, ready, before=meters.carry_over)
    port.start()
    return port


def beside(context: Context, listener: socket.socket, counting: SharedCounting) -> int:
    """Serve the port for several workers, until SIGTERM and until they have ended; the exit status.

    Call it in the main thread of a process of its own.
    """
    database = open_database(context.settings, busy_timeout_s=SERVER_BUSY_TIMEOUT_S)

    counted = counting.registry()

    def workers() -> str:
        return "" if any(counting.pids()) else "no worker is running"

    def commits() -> str:
        unwell = int(counted.get_sample_value(UNWELL) or 0)
        return f"{unwell} of the workers answer no token request: see the log" if unwell else ""

    # That the schema is a newer version's is told by whoever started the workers.
    ready = readiness(context.settings, {"commits": commits, "workers": workers}, saw_newer=True)
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ready.stop()
        ending.set()

    signal.signal(signal.SIGTERM, end)
    registry = counting.registry()
    collectors.register(registry, ready, Figures(database), database.dialect, counting.all_pids)
    port = MetricsPort(listener, registry, ready)
    port.start()
    while not ending.wait(1.0):
        pass  # in steps, so that a signal is seen
    latest = time.monotonic() + _END_WITHIN_S
    while any(counting.pids()) and time.monotonic() < latest:
        time.sleep(0.1)  # their last requests are counted, and readiness says why it is 503
    port.close()
    ready.close()
    database.close()
    return 0
