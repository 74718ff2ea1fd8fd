"""A file system without links, such as FAT: `monkeypatch.setattr(os, "link", no_links)`."""

import errno


def no_links(*_: object, **__: object) -> None:
    """As such a one answers."""
    raise PermissionError(errno.EPERM, "Operation not permitted")
