"""The server lives with what the unit file and the manifests take away from a process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from shipped_settings import unit
from shipped_settings import values as all_values

from support.installation import Installation, Server
from support.ports import free_port
from support.proxies.process import program

# MemoryDenyWriteExecute= by the kernel (6.3 or newer), as systemd sets it: no memory that is
# writable becomes executable. It is inherited.
_CONFINED = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    print("no memory protection by this kernel", file=sys.stderr)
os.execv(sys.executable, [sys.executable, "-m", "hourpass", *sys.argv[1:]])
"""
_OPENED = re.compile(r'^\d+ +open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", ([A-Z_|]+).*\) += \d+')
_CALL = re.compile(r"^\d+ +(\w+)\(")
# Made by every program, thousands of times: stopping at each would take most of the test's time.
_TAKEN_FOR_GRANTED = {
    *("read", "lseek", "close", "fstat", "newfstatat", "ioctl", "getdents64", "readlink"),
    *("mmap", "munmap", "mprotect", "madvise", "brk", "futex", "epoll_wait", "rt_sigaction"),
    *("pread64", "clock_nanosleep", "sched_yield", "getrandom", "fcntl"),
}
# SQLite gives files that root makes to the owner of the database; the service is never root.
_ONLY_AS_ROOT = {"fchown"}


@dataclass(frozen=True, slots=True)
class Confined:
    """A server that has started, served and ended: its status, log, and its system calls."""

    installation: Installation
    status: int
    log: str
    calls: frozenset[str]
    written: frozenset[str]


@pytest.fixture(scope="module")
def confined(
    new_installation: Callable[..., Installation], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Confined]:
    """`serve` with metrics, tokens, an online check and the admin UI, under strace."""
    folder = tmp_path_factory.mktemp("confined")
    installation, trace = new_installation(folder / "installation"), folder / "trace"
    credentials = installation.create_client("customers:read")
    which = ["--seccomp-bpf", "-e", f"trace=!{','.join(sorted(_TAKEN_FOR_GRANTED))}"]
    strace = [program("strace"), "-f", "-qq", "-s", "4096", "-o", str(trace), *which]
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", _CONFINED]
    settings = {"TMPDIR": str(temporary), "HOURPASS_METRICS_PORT": str(free_port())}
    if installation.context.settings.is_postgresql:
        settings["HOURPASS_WORKERS"] = "2"
    server = Server(installation, *strace, program=command, **settings)
    token = server.token(credentials)
    verified = server.http.get(
        "/verify?api=bookings",
        headers={
            "Authorization": f"Bearer {token.json()['access_token']}",
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Uri": "/customers",
        },
    )
    answers = [token.status_code, verified.status_code]
    answers += [server.http.get(path).status_code for path in ("/admin/sign-in", "/api/v1/docs")]
    status = server.stop()
    assert answers[:2] == [200, 200]
    assert max(answers) < 500
    lines = trace.read_text("latin-1").splitlines()
    opened = [match for line in lines if (match := _OPENED.match(line))]
    yield Confined(
        installation,
        status,
        server.log.read_text(),
        frozenset(match[1] for line in lines if (match := _CALL.match(line))),
        frozenset(
            match[1]
            for match in opened
            if re.search("O_WRONLY|O_RDWR|O_CREAT", match[2])
            and not match[1].startswith((f"{temporary}/", "/dev/shm/hourpass-metrics-"))
        ),
    )
    installation.close()


def _listed(filter_set: str) -> set[str]:
    """The system calls of one of systemd's sets, those of the sets in it too."""
    command = [program("systemd-analyze"), "--no-pager", "syscall-filter", filter_set]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.strip() for line in done.stdout.splitlines()[1:] if line.startswith(" ")}
    found = {name for name in names if name[0].isalpha()}
    return found.union(*(_listed(name) for name in names if name[0] == "@"))


def test_it_needs_no_memory_that_is_writable_and_executable(confined: Confined) -> None:
    """Neither Python nor a wheel makes code while it runs."""
    if "no memory protection" in confined.log:
        pytest.skip("requires a kernel that denies writable memory to be executed (6.3)")
    assert confined.status == 0
    assert "prctl" in confined.calls


def test_it_makes_only_system_calls_that_the_unit_allows(confined: Confined) -> None:
    """From its start to its end, on either database."""
    allowed, denied = all_values(unit("hourpass.service"), "SystemCallFilter")
    permitted = set[str]().union(*(_listed(name) for name in allowed.split()))
    refused = set[str]().union(*(_listed(name) for name in denied.removeprefix("~").split()))

    made = confined.calls | _TAKEN_FOR_GRANTED
    assert {"execve", "openat", "bind", "accept4", "clone3"} <= made
    if os.geteuid() == 0:
        made -= _ONLY_AS_ROOT
    assert made - (permitted - refused) == set()


def test_with_postgresql_it_writes_no_file(confined: Confined) -> None:
    """But /tmp and /dev/shm: so a root file system that is read-only is enough for a pod."""
    if not confined.installation.context.settings.is_postgresql:
        pytest.skip("the embedded database is files")
    assert confined.written - {"/dev/null"} == set()
