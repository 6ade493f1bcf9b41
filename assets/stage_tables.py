"""Keep what a stage hands to the next as Parquet, one file per asset, partition and run.

A run reads its own file, so two runs of one bucket never mix; a stage materialised alone reads the newest.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import dagster as dg
import polars as pl

# Files of earlier runs that stay beside the newest: enough for runs of one bucket that overlap.
_KEPT_FILES = 3
_SUFFIX = ".parquet"


def newest_first(folder: Path) -> list[Path]:
    """Return the tables in `folder`, the one written last first."""
    return sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)


def write_table(folder: Path, run_id: str, table: pl.DataFrame) -> Path:
    """Write `table` as the run's file of this folder, whole or not at all, and let go of the oldest ones."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{run_id}{_SUFFIX}"
    partial = file.with_suffix(".partial")
    table.write_parquet(partial)
    os.replace(partial, file)
    for old in newest_first(folder)[_KEPT_FILES:]:
        old.unlink(missing_ok=True)
    return file


def read_table(folder: Path, run_id: str) -> pl.DataFrame:
    """Return the run's own table, or else the newest. Raises FileNotFoundError when there is none."""
    own = folder / f"{run_id}{_SUFFIX}"
    candidates: Sequence[Path] = [own] if own.exists() else newest_first(folder)
    if not candidates:
        raise FileNotFoundError(f"No table of the stage {folder.parent.name} for {folder.name}: materialise it first.")
    return pl.read_parquet(candidates[0])


def remove_tables_before(root: Path, moment: datetime) -> int:
    """Delete tables written before `moment` and return how many: they hold text of documents deleted since."""
    removed = 0
    for file in root.rglob(f"*{_SUFFIX}"):
        if file.stat().st_mtime < moment.timestamp():
            file.unlink(missing_ok=True)
            removed += 1
    return removed


class StageTables(dg.IOManager):
    """Polars frames in `<root>/<asset>/<partition>/<run id>.parquet`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _folder(self, asset_key: dg.AssetKey, partition_key: str) -> Path:
        return self._root.joinpath(*asset_key.path, partition_key)

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        file = write_table(self._folder(context.asset_key, context.partition_key), context.run_id, obj)
        context.add_output_metadata({"table": dg.MetadataValue.path(file), "table_bytes": file.stat().st_size})

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        run_id = context.step_context.run_id
        return read_table(self._folder(context.asset_key, context.partition_key), run_id)
