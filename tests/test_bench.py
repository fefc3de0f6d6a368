"""The benchmark: its bars can be missed, and what it writes can be read."""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench.__main__ import SECTIONS, read_keys, summarise
from scripts.bench.report import to_markdown
from scripts.bench.rows import Row, at_least, at_most, show

ROOT = Path(__file__).resolve().parents[1]


def test_a_bar_is_kept_up_to_its_limit_and_never_by_nan() -> None:
    assert at_least(2).holds(2)
    assert not at_least(2).holds(1.999)
    assert at_most(2).holds(2)
    assert not at_most(2).holds(2.001)
    assert not at_least(2).holds(math.nan)
    assert not at_most(2).holds(math.nan)


def test_a_bar_judges_the_ratio_to_a_peer_where_there_is_one() -> None:
    assert Row("a", 5, "s", "peer", 11, at_least(2.2)).is_kept
    assert not Row("a", 5, "s", "peer", 10.9, at_least(2.2)).is_kept
    assert Row("a", 5, "s", "peer", bar=at_most(5)).is_kept
    assert Row("a", 0, "s", "peer", 1).ratio == math.inf
    assert Row("a", 5, "s").is_kept is None


def test_a_missed_bar_ends_with_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    kept, missed = Row("fine", 1, "s", bar=at_most(2)), Row("slow", 3, "s", bar=at_most(2))
    assert summarise([kept]) == 0
    assert summarise([kept, missed]) == 1
    assert "missed: slow" in capsys.readouterr().err


def test_numbers_are_written_with_three_digits() -> None:
    assert [show(value) for value in (0, 12.5, 0.5, 1234.5, 3.21e-9)] == [
        "0",
        "12.5",
        "0.5",
        "1,234",
        "3.2e-09",
    ]


def test_sections_that_do_not_exist_are_named() -> None:
    assert read_keys("fid,vgg") == ["fid", "vgg"]
    with pytest.raises(argparse.ArgumentTypeError, match="'speed'"):
        read_keys("fid,speed")


def test_every_section_is_described() -> None:
    described = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [key for key in SECTIONS if f"| `{key}` |" not in described] == []


def test_tables_for_documents_hold_every_row() -> None:
    rows = [Row("one", 1, "s", "peer", 3, at_least(2)), Row("two", 2, "MiB", bar=at_most(1))]
    table = to_markdown({"cpu": "x", "versions": {}}, {"Title": rows})
    assert "### Title" in table
    assert "| one | 1 s | ≥ 2 | peer 3 | 3 x | ok |" in table
    assert "| two | 2 MiB | ≤ 1 |  |  | MISSED |" in table


def test_results_are_written_with_the_facts_of_the_machine(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench", "--quick", "--only", "golden", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Golden values" in done.stdout
    written = json.loads(out.read_text())
    assert {"cpu", "capability", "threads", "torch", "versions", "is_quick"} <= set(
        written["machine"]
    )
    assert written["machine"]["threads"] == 1
    rows = written["sections"]["golden"]
    assert len(rows) == 5
    assert all(row["is_kept"] for row in rows)
