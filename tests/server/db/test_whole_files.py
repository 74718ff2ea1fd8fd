"""Files that are there whole or not at all, on file systems with links and without."""

import os
from pathlib import Path

import pytest

from hourpass.server.db import files
from support.no_links import no_links


@pytest.fixture(params=["links", "no links"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; on a file system without links in half of the tests."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", no_links)
    return tmp_path


def test_a_new_file_is_its_owners_and_whole(folder: Path) -> None:
    """With nothing left beside it."""
    files.write_new(folder / "new", "words\n")

    assert (folder / "new").read_text() == "words\n"
    assert (folder / "new").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in folder.iterdir()] == ["new"]


def test_a_new_file_takes_nobodys_name(folder: Path) -> None:
    """Whoever was there first stays, also when that is a file that is not whole yet."""
    (folder / "old").write_text("precious")
    (folder / "empty").touch()

    for name in ("old", "empty"):
        with pytest.raises(FileExistsError):
            files.write_new(folder / name, "words\n")

    assert (folder / "old").read_text() == "precious"
    assert (folder / "empty").read_text() == ""
    assert {file.name for file in folder.iterdir()} == {"old", "empty"}


def test_a_file_that_is_kept_has_both_names(folder: Path) -> None:
    """And no other file is lost for it."""
    (folder / "database").write_text("rows")
    (folder / "other").write_text("precious")

    files.keep(folder / "database", folder / "kept")

    assert (folder / "database").read_text() == (folder / "kept").read_text() == "rows"
