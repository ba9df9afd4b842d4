"""What the measurements with long-lived contestants share: their processes, their rounds, and whether they agree. Every
contestant speaks protocol.py. It measures nothing by itself and prints nothing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from family import pss_bytes
from protocol import Child, ContestantFailed

TOLERANCE = 1e-3  # of the outputs, relative to the largest


@dataclass
class Entry:
    """A contestant of a run, and what was measured of it."""

    name: str
    child: Child | None = None
    ready_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    memory_bytes: int = 0
    failed: str = ""
    note: str = ""

    def drop(self, reason: str) -> None:
        self.failed = reason
        if self.child:
            self.child.close()
            self.child = None


def add_common(parser: argparse.ArgumentParser, folder: Path) -> None:
    """The options that all of these measurements have."""
    parser.add_argument("--driver", type=Path, help="tutti-bench-peers-driver; without it Tutti is left out")
    parser.add_argument("--folder", type=Path, default=folder, help="of weights and images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append each row as a line of JSON")


def check_common(parser: argparse.ArgumentParser, options: argparse.Namespace, counts: tuple[str, ...]) -> None:
    """Ends with the parser's error if one of the numbers is below 1, or if the rows cannot be written."""
    for name in counts:
        values = getattr(options, name)
        for value in values if isinstance(values, list) else [values]:
            if value < 1:
                parser.error(f"--{name} must be at least 1, not {value}")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json: the folder '{options.json.parent}' does not exist")


def environment(threads: int) -> dict[str, str]:
    """The caller's environment without variables that would tune one contestant by accident."""
    tuned = ("OMP_", "MKL_", "KMP_", "MALLOC_", "TORCHINDUCTOR_")
    found = {name: value for name, value in os.environ.items() if not name.startswith(tuned)}
    return found | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}


def measure_rounds(entries: list[Entry], repeats: int, answer: Path) -> None:
    """All rounds, then memory, and whether the outputs agree (through the file `answer`)."""
    for _ in range(repeats):
        for entry in entries:
            if entry.child:
                try:
                    entry.seconds.append(entry.child.ask("run", {}, "ran")["seconds"])
                except ContestantFailed as error:
                    entry.drop(str(error))
    for entry in entries:
        if entry.child:
            entry.memory_bytes = pss_bytes(entry.child.pid)
    compare_answers([entry for entry in entries if entry.child], answer)


def compare_answers(entries: list[Entry], file: Path) -> None:
    """Drops the contestants whose output differs from that of the first."""
    import numpy

    reference = None
    for entry in entries:
        try:
            assert entry.child is not None
            entry.child.ask("save", str(file), "saved")
        except ContestantFailed as error:
            entry.drop(str(error))
            continue
        answer = numpy.fromfile(file, numpy.float32)
        reference = answer if reference is None else reference
        if answer.shape != reference.shape:
            entry.drop(f"it gives {answer.size} value{'' if answer.size == 1 else 's'}, and {entries[0].name} {reference.size}")
            continue
        difference = float(abs(answer - reference).max() / max(1.0, float(abs(reference).max())))
        entry.note = f"differs by {difference:.0e}" if difference else ""
        if not difference <= TOLERANCE:
            entry.drop(f"its output differs from {entries[0].name}'s by {difference:.1e}, more than {TOLERANCE:.0e}")


def close_all(entries: list[Entry]) -> None:
    for entry in entries:
        if entry.child:
            entry.child.close()


def ratios_of(own: list[Entry], others: list[Entry]) -> list[float]:
    """Of each round: the time of the fastest of `others` to that of `own`; none if all of one side are missing."""
    tutti = [entry for entry in own if not entry.failed]
    rest = [entry for entry in others if not entry.failed]
    if not tutti or not rest:
        return []
    return [min(seconds) / mine for mine, *seconds in zip(tutti[0].seconds, *(entry.seconds for entry in rest))]


def certificate(options: argparse.Namespace) -> dict[str, Any]:
    """The certificate in every row: Tutti's, or that of this Python."""
    found: dict[str, Any] = {}
    if options.driver:
        try:
            text = subprocess.run([str(options.driver), "--certificate"], capture_output=True, text=True, check=True)
            found = json.loads(text.stdout)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise SystemExit(f"could not run '{options.driver}': {error}\n"
                             "  hint: cmake --build --preset release --target tutti_bench_peers_driver") from None
    else:
        found = {"version": "no tutti", "kernel": platform.release(), "cores": len(os.sched_getaffinity(0))}
    return found | {"repeats": options.repeats, "python": platform.python_version(), "threads": options.threads}
