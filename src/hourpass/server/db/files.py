"""Files that are there whole and on disk for good, or not at all.

File systems without links (FAT, some network ones) get the same by other means.
"""

import os
import secrets
import shutil
from pathlib import Path


def synchronise(path: Path) -> None:
    """Have a file, or the names in a folder, on disk before this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: Path, text: str) -> None:
    """A new file of its owner's alone; raises FileExistsError, other OSErrors."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def publish(draft: Path, name: Path) -> None:
    """Give a file that is on disk a name that nobody has, in one step, and have it on disk.

    The caller removes what is left of the draft. Raises FileExistsError, other OSErrors.
    """
    try:
        os.link(draft, name)  # fails when it exists, as a rename does not
    except FileExistsError:
        raise
    except OSError:
        # No links: take the name first, so that of two at once one gets it. A crash between the
        # two steps leaves it empty.
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        draft.replace(name)
    synchronise(name.parent)


def keep(path: Path, name: Path) -> None:
    """A second name for a file, or a copy of it; it keeps the first. Raises OSError."""
    try:
        os.link(path, name)
    except FileExistsError:
        raise
    except OSError:  # no links
        shutil.copy2(path, name)
        synchronise(name)
    synchronise(name.parent)
