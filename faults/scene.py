"""Where a fault takes place: a folder, databases on its disk, and who is told how it goes."""

import contextlib
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from faults import judge
from faults.judge import Verdict, odd_answers
from faults.load import Load
from faults.outcome import Outcome
from faults.windows import Window
from support.installation import Installation, Server
from support.postgres import Cluster


@dataclass(slots=True)
class Scene:
    """What every fault is given."""

    folder: Path
    kills: int
    """How often a server is killed in mid-work."""
    rounds: int
    """How often the primary of a cluster is lost."""
    say: Callable[[str], None]
    """Tells whoever looks on what is happening now."""

    def new_folder(self) -> Path:
        """An empty one."""
        made = Path(tempfile.mkdtemp(dir=self.folder))
        made.chmod(0o755)
        return made

    @contextlib.contextmanager
    def sqlite(self, folder: Path | None = None, **environ: str) -> Iterator[Installation]:
        """An embedded installation, its database in this folder."""
        folder = folder or self.new_folder()
        made = Installation(self.new_folder(), f"sqlite:///{folder}/hourpass.db", environ)
        made.apply_catalogue()
        try:
            yield made
        finally:
            made.close()

    @contextlib.contextmanager
    def postgres(
        self, folder: Path | None = None, below: Mapping[str, str] = {}
    ) -> Iterator[tuple[Installation, Cluster]]:
        """An installation on a PostgreSQL of its own, that one's data in this folder.

        `below` is put into the environment of PostgreSQL.
        """
        cluster = Cluster(folder or self.new_folder(), below)
        try:
            cluster.execute("create database hp")
            made = Installation(self.new_folder(), cluster.url("hp"))
            made.apply_catalogue()
            try:
                yield made, cluster
            finally:
                made.close()
        finally:
            with contextlib.suppress(OSError):
                cluster.remove()


@contextlib.contextmanager
def serving(installation: Installation, *prefix: str, **environ: str) -> Iterator[Server]:
    """A server on it."""
    server = Server(installation, *prefix, **environ)
    try:
        yield server
    finally:
        server.stop()


def judged(
    fault: str,
    database: str,
    load: Load,
    server: Server,
    *,
    recovery: str,
    problem: str = "",
    window: Window | None = None,
    ordinary: Collection[int] = (),
) -> Outcome:
    """The outcome, once the load has ended: what it was told, compared with what is there.

    `window` is what the callers saw, when that is not only what they saw in the last round;
    `ordinary` the statuses that belong to this fault, beside those that belong to any.
    """
    installation = server.installation
    verdict = Verdict()
    judge.check(installation, server, [load.deeds], [load.tokens], verdict)
    installation.close()
    return Outcome(
        fault=fault,
        database=database,
        tokens=verdict.tokens,
        deeds=verdict.deeds,
        losses=tuple(verdict.losses),
        window=window or load.window(),
        recovery=recovery,
        problem=problem or odd_answers(verdict.odd.difference(ordinary)),
    )
