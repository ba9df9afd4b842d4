"""The tables of the peers: figures and their ratios to Tutti's. It measures nothing."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from bench_rows import Row, append_rows, number  # noqa: E402

__all__ = ["Row", "append_rows", "figure_line", "reference_of", "table"]

TUTTI = "tutti"


def table(title: str, rows: list[Row], reference: float | None) -> str:
    """`reference`: Tutti's median, which the ratios are to."""
    lines = [f"{title:<28}  {'median':>8}  {'MAD':>8}  {'minimum':>8}  {'unit':<4}  {'x Tutti':>7}  note"]
    for row in rows:
        if row.skipped:
            lines.append(f"{row.name:<28}  skipped: {row.skipped}")
            continue
        ratio = f"{row.median / reference:.2f}" if reference else ""
        figures = "  ".join(f"{number(value):>8}" for value in (row.median, row.mad, min(row.samples)))
        lines.append(f"{row.name:<28}  {figures}  {row.unit:<4}  {ratio:>7}  {row.note}".rstrip())
    return "\n".join(lines)


def reference_of(rows: list[Row]) -> float | None:
    """The median of Tutti's row among rows of one kind."""
    for row in rows:
        if row.name == TUTTI and row.samples:
            return row.median
    return None


def figure_line(row: Row) -> str:
    """A figure that is in no table: "tutti: memory: 12.000 MiB   aim <= 20". A ratio needs no word for what it is."""
    figure = str(row.conditions.get("figure", ""))
    words = [row.name] + ([figure] if figure not in ("", "ratio") else []) + [f"{row.median:.3f} {row.unit}".rstrip()]
    return ": ".join(words) + (f"   aim {row.aim}" if row.aim else "")
