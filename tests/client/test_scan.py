"""Secrets in files: found in every form they leak in, and never shown whole."""

import base64
import io
import os
import re
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hourpass.client.scan import MAX_LINE, Found, files_below, scan_files, scan_stream, secrets_in
from hourpass.oauth.secret_format import generate

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hps_" + "0" * 43 + "2jdc8S"
CLIENT_ID = "m2m_0123456789abcdefghjk"


def basic(user: str, password: str) -> str:
    """As it stands in a header."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"HOURPASS_CLIENT_SECRET={SECRET}",
        f'{{"client_secret":"{SECRET}"}}',
        f"x{SECRET}y",
        f"client_secret={quote(SECRET).replace('_', '%5F')}&grant_type=client_credentials",
        f"client_secret=hps%5f{SECRET[4:]}",
        f"Authorization: Basic {basic(CLIENT_ID, SECRET)}",
        f"Authorization: Basic {basic(CLIENT_ID.replace('_', '%5F'), SECRET)}",
        f"Basic {basic(CLIENT_ID, SECRET.replace('_', '%5F'))}",
        f"\x00\xff{SECRET}\x00",
    ],
)
def test_a_secret_is_found_in_whatever_it_stands(text: str) -> None:
    """As it is, form-encoded, in Basic credentials."""
    assert secrets_in(text.encode("latin-1")) == [SECRET]


@pytest.mark.parametrize(
    "text",
    [
        "hps_" + "0" * 49,
        SECRET[:-1],
        SECRET[:-1] + "T",
        SECRET.upper(),
        SECRET.replace("hps_", "hps-"),
        "hps_",
        basic("m2m_" + "0" * 60, "nothing"),
    ],
)
def test_a_look_alike_is_none(text: str) -> None:
    """The checksum tells."""
    assert secrets_in(text.encode()) == []


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(1, 3))
def test_whatever_stands_around_it(before: bytes, after: bytes, count: int) -> None:
    """Each is found, in the order it comes; the text around it is any octets."""
    every = [generate() for _ in range(count)]
    found = secrets_in(before + b" ".join(each.encode() for each in every) + b" " + after)
    assert [each for each in found if each in every] == every


def test_lines_are_counted_and_a_long_one_hides_nothing() -> None:
    """Also where a line of megabytes is cut in two, within the secret; it is told once."""
    for cut in (-30, -53, -1, 0, 1):
        secret = generate()
        text = b"one\n" + b"x" * (MAX_LINE + cut) + secret.encode() + b"x" * 100 + b"\nlast\n"
        found = list(scan_stream(io.BytesIO(text), "log"))
        assert found == [Found(path="log", line=2, shown=f"{secret[:7]}…")]
        assert secret[7:] not in repr(found)


def test_a_folder_is_searched_but_for_links_and_version_control(tmp_path: Path) -> None:
    """A file that cannot be read is told; the others are searched."""
    for name in ("a.env", "b/c.txt", ".git/config", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(SECRET)
    (tmp_path / "link").symlink_to(tmp_path / "a.env")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    paths = list(files_below(tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in paths] == [".hidden", "a.env", "b/c.txt"]
    outcomes = list(scan_files([tmp_path / "gone", *paths]))
    assert isinstance(outcomes[0], FileNotFoundError)
    assert len(outcomes) == 4


def test_the_rules_for_other_scanners_match_what_we_make() -> None:
    """And not what merely begins alike."""
    folder = ROOT / "deploy" / "secret-scanning"
    gitleaks = tomllib.loads((folder / "gitleaks.toml").read_text())
    trufflehog = yaml.safe_load((folder / "trufflehog.yaml").read_text())
    github = re.search(r"Secret format \| `(.*)`", (folder / "github.md").read_text())
    assert github is not None
    assert f"`{SECRET}`" in (folder / "github.md").read_text()
    for rule in (
        gitleaks["rules"][0]["regex"],
        trufflehog["detectors"][0]["regex"]["secret"],
        github[1],
    ):
        assert re.search(rule, f"x = {generate()}")
        assert not re.search(rule, f"x = {SECRET[:-1]}")
