"""What `make bench` writes over."""

from pathlib import Path

import pytest
from bench import report
from bench.audit_volume import Volume


def test_a_run_with_fewer_audit_rows_leaves_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is printed; one with as many or more is written."""
    monkeypatch.setattr(report, "HERE", tmp_path)
    page = tmp_path / "audit.md"

    def write(rows: int) -> bool:
        found = {
            name: Volume(rows=count, filled_s=1, size_gb=1, queries=[], tokens={"all": [(1, 1)]})
            for name, count in (("postgresql", rows), ("sqlite", 1_000))
        }
        return report.write_audit(report.Results(seconds=1, rounds=1, audit=found))

    assert write(2_000_000)
    published = page.read_text("utf-8")
    assert "2,000,000 rows" in published
    assert not write(1_000_000)
    assert page.read_text("utf-8") == published
    assert "1,000,000 rows" in capsys.readouterr().out
    assert write(3_000_000)
    assert "3,000,000 rows" in page.read_text("utf-8")
