"""Tables between stages: whole, per run, and not for ever."""

import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from assets.stage_tables import read_table, remove_tables_before, write_table


def table(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number]})


def write(folder: Path, run_id: str, number: int, *, at: int) -> None:
    os.utime(write_table(folder, run_id, table(number)), (at, at))


def test_run_reads_its_own_table_though_another_is_newer(tmp_path: Path) -> None:
    """Two runs of one bucket that overlap never read each other's works."""
    write(tmp_path, "mine", 1, at=1)
    write(tmp_path, "other", 2, at=2)
    assert read_table(tmp_path, "mine")["number"].to_list() == [1]


def test_run_without_a_table_reads_the_newest(tmp_path: Path) -> None:
    """A stage materialised alone goes on from what was written last."""
    write(tmp_path, "first", 1, at=1)
    write(tmp_path, "second", 2, at=2)
    assert read_table(tmp_path, "third")["number"].to_list() == [2]


def test_missing_table_is_a_sentence(tmp_path: Path) -> None:
    """What is missing is named, and what to do."""
    with pytest.raises(FileNotFoundError, match="No table of the stage chunks for bucket_03: materialise it first"):
        read_table(tmp_path / "chunks" / "bucket_03", "run")


def test_writing_lets_go_of_the_oldest_tables(tmp_path: Path) -> None:
    """Beside the newest only a few are kept; nothing half written stays."""
    for number in range(6):
        write(tmp_path, f"run{number}", number, at=number)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run3.parquet", "run4.parquet", "run5.parquet"]


def test_old_tables_are_removed_everywhere_below(tmp_path: Path) -> None:
    """Tables written before the moment go, at any depth, and are counted; others and other files stay."""
    write(tmp_path / "a" / "x", "old", 1, at=10)
    write(tmp_path / "b", "new", 2, at=30)
    (tmp_path / "note.txt").write_text("kept")
    os.utime(tmp_path / "note.txt", (10, 10))
    assert remove_tables_before(tmp_path, datetime.fromtimestamp(20, UTC)) == 1
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"new.parquet", "note.txt"}
