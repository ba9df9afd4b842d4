"""Rows of samples as bench/rows.hpp has them, as lines of JSON and as tables with ratios. It measures nothing."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = "tutti.bench/1"
TUTTI = "tutti"


@dataclass
class Row:
    name: str
    conditions: dict[str, Any]
    unit: str
    samples: list[float] = field(default_factory=list)  # empty where it was skipped
    note: str = ""
    aim: str = ""
    skipped: str = ""
    bench: str = "peers"


def median(samples: list[float]) -> float:
    return statistics.median(samples)


def mad(samples: list[float]) -> float:
    """The median of the absolute deviations from the median, not scaled."""
    middle = statistics.median(samples)
    return statistics.median([abs(sample - middle) for sample in samples])


def to_json(row: Row, certificate: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "schema": SCHEMA, "certificate": certificate, "bench": row.bench, "name": row.name,
        "conditions": row.conditions, "unit": row.unit, "better": "lower", "samples": row.samples,
    }
    if row.samples:
        out |= {"median": median(row.samples), "mad": mad(row.samples), "min": min(row.samples)}
    return out | {key: value for key in ("aim", "note", "skipped") if (value := getattr(row, key))}


def append_json(file: Path, rows: list[Row], certificate: dict[str, Any]) -> None:
    with file.open("a") as out:
        for row in rows:
            out.write(json.dumps(to_json(row, certificate)) + "\n")


def number(value: float) -> str:
    """Four digits, whatever the size: "0.001234", "12.34", "12340"."""
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e" in text and value >= 1 else text


def table(title: str, rows: list[Row], reference: float | None) -> str:
    """`reference`: Tutti's median, which the ratios are to."""
    lines = [f"{title:<28}  {'median':>8}  {'MAD':>8}  {'minimum':>8}  {'unit':<4}  {'x Tutti':>7}  note"]
    for row in rows:
        if row.skipped:
            lines.append(f"{row.name:<28}  skipped: {row.skipped}")
            continue
        ratio = f"{median(row.samples) / reference:.2f}" if reference else ""
        figures = "  ".join(f"{number(value):>8}" for value in (median(row.samples), mad(row.samples),
                                                                 min(row.samples)))
        lines.append(f"{row.name:<28}  {figures}  {row.unit:<4}  {ratio:>7}  {row.note}".rstrip())
    return "\n".join(lines)


def reference_of(rows: list[Row]) -> float | None:
    """The median of Tutti's row among rows of one kind."""
    for row in rows:
        if row.name == TUTTI and row.samples:
            return median(row.samples)
    return None
