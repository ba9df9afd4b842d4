"""Reads the rows of the measuring programs (bench/rows.hpp: one JSON object per line, schema tutti.bench/1), and checks
them. For the scripts in this folder; prints nothing."""

import json
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA = "tutti.bench/1"
NAMES_SHOWN = 60


class MalformedRows(Exception):
    """What is wrong with a file, for people: the file, the line, what was found."""


@dataclass
class Row:
    """One figure: samples in the order in which they were taken, or the reason why there are none."""

    bench: str
    name: str
    conditions: dict
    unit: str
    higher_is_better: bool
    samples: list[float]
    skipped: str
    aim: str
    note: str
    certificate: dict
    place: str = field(compare=False)  # "FILE:LINE"

    @property
    def key(self) -> tuple[str, str, str]:
        """Two runs' rows are the same figure where this is equal."""
        return self.bench, self.name, json.dumps(self.conditions, sort_keys=True)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def mad(self) -> float:
        """Median of the absolute deviations from the median, not scaled."""
        middle = self.median
        return statistics.median(abs(sample - middle) for sample in self.samples)

    def conditions_text(self) -> str:
        return ", ".join(f"{key} {_plain(value)}" for key, value in sorted(self.conditions.items()))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _typed(fields: dict, key: str, kind: type, place: str, default: object = None) -> object:
    value = fields.get(key, default)
    if not isinstance(value, kind):
        found = "nothing" if key not in fields else json.dumps(value)[:NAMES_SHOWN]
        wanted = {str: "a text", list: "a list", dict: "an object"}[kind]
        raise MalformedRows(f"{place}: '{key}' must be {wanted}, found {found}")
    return value


def _row_of(fields: object, place: str) -> Row:
    if not isinstance(fields, dict):
        raise MalformedRows(f"{place}: not a row: a JSON object was expected")
    if fields.get("schema") != SCHEMA:
        raise MalformedRows(f"{place}: not a row of '{SCHEMA}': its schema is {json.dumps(fields.get('schema'))}")
    samples = _typed(fields, "samples", list, place)
    if not all(map(is_number, samples)):
        raise MalformedRows(f"{place}: 'samples' must hold finite numbers alone")
    skipped = _typed(fields, "skipped", str, place, "")
    if not samples and not skipped:
        raise MalformedRows(f"{place}: neither samples nor a reason why it was skipped")
    if fields.get("better") not in ("lower", "higher"):
        raise MalformedRows(f"{place}: 'better' must be lower or higher, found {json.dumps(fields.get('better'))}")
    return Row(
        bench=_typed(fields, "bench", str, place),
        name=_typed(fields, "name", str, place),
        conditions=_typed(fields, "conditions", dict, place),
        unit=_typed(fields, "unit", str, place),
        higher_is_better=fields["better"] == "higher",
        samples=[float(sample) for sample in samples],
        skipped=skipped,
        aim=_typed(fields, "aim", str, place, ""),
        note=_typed(fields, "note", str, place, ""),
        certificate=_typed(fields, "certificate", dict, place),
        place=place,
    )


def read_rows(file: Path) -> list[Row]:
    """All rows of a file, in its order; at least one. Raises MalformedRows."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise MalformedRows(f"could not read '{file}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise MalformedRows(f"'{file}' is no text: lines of JSON were expected") from None
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise MalformedRows(f"{file}:{number}: not JSON: {error.msg} at column {error.colno}") from None
        rows.append(_row_of(fields, f"{file}:{number}"))
    if not rows:
        raise MalformedRows(f"'{file}' holds no rows")
    return rows


def merged(rows: list[Row]) -> dict[tuple, Row]:
    """By key, in the order of their first appearance: a figure that was measured several times has all its samples."""
    found: dict[tuple, Row] = {}
    for row in rows:
        first = found.setdefault(row.key, row)
        if first is row:
            continue
        check_same_figure(first, row)
        if row.samples:
            first.samples = first.samples + row.samples
            first.skipped = ""
    return found


def check_same_figure(one: Row, other: Row) -> None:
    """Raises MalformedRows where rows of one name cannot be compared."""
    if one.unit != other.unit:
        raise MalformedRows(f"'{one.name}' is in '{one.unit}' ({one.place}) and in '{other.unit}' ({other.place})")
    if one.higher_is_better != other.higher_is_better:
        raise MalformedRows(f"'{one.name}' is better when lower in one row and when higher in another "
                            f"({one.place}, {other.place})")


def number(value: float) -> str:
    """Four digits, whatever the size: as the measuring programs print it."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"
