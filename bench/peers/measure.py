"""Starts contestants, lets each choose its setting, and measures them interleaved. Prints nothing."""

from __future__ import annotations

import array
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import catalogue
from catalogue import Contestant, Setting
from family import pss_bytes
from protocol import Child, ContestantFailed

HERE = Path(__file__).parent
# For probabilities; sums in another order differ by about 1e-7.
TOLERANCE = 1e-5


@dataclass
class Place:
    """The place and the data of a measurement."""

    build: Path  # build/peers: environment, data, packages, logs
    driver: Path
    images: int
    members: int = 4
    segment: int = 500
    deadline: float = 600.0

    @property
    def python(self) -> Path:
        return self.build / "venv" / "bin" / "python"

    @property
    def data(self) -> Path:
        return self.build / "data"

    def log(self, name: str) -> Path:
        return self.build / "logs" / f"{name}.log"


@dataclass
class Entry:
    """A contestant in one table: its process and its measurements."""

    contestant: Contestant
    setting: Setting | None = None
    child: Child | None = None
    seconds: list[float] = field(default_factory=list)
    ready_seconds: float | None = None
    memory_bytes: int | None = None
    difference: float | None = None
    failed: str = ""

    def drop(self, reason: str) -> None:
        self.failed = reason
        if self.child:
            self.child.close()
            self.child = None


def environment(table: str, threads: int) -> dict[str, str]:
    """The environment of the contestants: the caller's without variables that would tune one of them by accident."""
    tuned = ("OMP_", "MKL_", "KMP_", "MALLOC_", "TF_", "RAY_", "TORCHINDUCTOR_")
    found = {name: value for name, value in os.environ.items() if not name.startswith(tuned)}
    found |= {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2",
              "KERAS_BACKEND": "tensorflow"}
    return found | (catalogue.MALLOC_ENVIRONMENT if table == "kernels" else {})


def spec_text(place: Place, batch: int | str, training: bool) -> str:
    """Workload S for Tutti; `batch` may be "auto"."""
    lines = ["members:"]
    for member in range(place.members):
        weights = "" if training else f", weights: '{place.data}/m{member}.safetensors'"
        lines.append(f"  - {{name: m{member}, model: {{kind: small-cnn{weights}}}}}")
    lines += ["assignment: cpu", "threads: 1", f"segment_images: {place.segment}", f"batch_images: {batch}",
              "input: {shape: [3, 32, 32]}"]
    if training:
        lines.append(f"train: {{epochs: 1, batch_images: {batch}}}")
    return "\n".join(lines) + "\n"


def start_tutti(place: Place, batch: int | str, training: bool = False) -> Child:
    folder = place.build / "specs"
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / f"{'train' if training else 'run'}-batch-{batch}.yaml"
    spec.write_text(spec_text(place, batch, training))
    command = [str(place.driver), str(spec), str(place.data / "images.f32"), "--count", str(place.images)]
    if training:
        command += ["--labels", str(place.data / "labels.i64"), "--folder", str(folder / "trained")]
    return Child(command, dict(os.environ), place.log("tutti"), place.deadline)


def start_peer(place: Place, table: str, name: str, threads: int) -> Child:
    command = [str(place.python), str(HERE / "contestant.py"), name, str(place.data), str(place.images),
               str(place.members), str(place.segment), str(threads)]
    return Child(command, environment(table, threads), place.log(name), place.deadline)


def prepare(child: Child, setting: Setting) -> None:
    child.ask("prepare", {"form": setting.form, "batch": setting.batch}, "prepared")


def timed(child: Child) -> float:
    return child.ask("run", {}, "ran")["seconds"]


Probe = Callable[[Setting], float]


def fastest(candidates: list[Setting], probe: Probe) -> tuple[Setting, float, list[str]]:
    """The candidate with the least time, and the reasons of those that failed. Raises if all did."""
    best: tuple[Setting, float] | None = None
    troubles: list[str] = []
    for candidate in candidates:
        try:
            seconds = probe(candidate)
        except ContestantFailed as error:
            troubles.append(f"{candidate.text()}: {error}")
            continue
        if best is None or seconds < best[1]:
            best = (candidate, seconds)
    if best is None:
        raise ContestantFailed(troubles[0] if troubles else "it has no setting to choose")
    return *best, troubles


class Prober:
    """Measures settings of one contestant, and keeps its process while the threads stay the same."""

    def __init__(self, place: Place, table: str, contestant: Contestant):
        self.place, self.table, self.contestant = place, table, contestant
        self.child: Child | None = None
        self.threads = 0

    def __call__(self, setting: Setting) -> float:
        form = "one package" if setting.form == "package" and self.contestant.name != "torch-fused" else setting.form
        if self.child is None or self.threads != setting.threads:
            self.close()
            self.child = start_peer(self.place, self.table, self.contestant.name, setting.threads)
            self.threads = setting.threads
        try:
            prepare(self.child, Setting(form, setting.threads, setting.batch))
            return min(timed(self.child), timed(self.child))
        except ContestantFailed:
            self.close()
            raise

    def close(self) -> None:
        if self.child:
            self.child.close()
            self.child = None


def choose(contestant: Contestant, batches: list[int], probe: Probe) -> tuple[Setting, Setting]:
    """The best setting at the first batch, and the best of all: the form and threads that win at the middle batch,
    with the batch that is fastest with these."""
    cores = catalogue.cores()
    fixed, fixed_seconds, _ = fastest(catalogue.settings(contestant, batches[:1], cores), probe)
    if len(batches) == 1:
        return fixed, fixed
    middle = sorted(batches)[len(batches) // 2]
    best, best_seconds, _ = fastest(catalogue.settings(contestant, [middle], cores), probe)
    others = [Setting(best.form, best.threads, batch) for batch in batches if batch != middle]
    other, other_seconds, _ = fastest(others, probe)
    return fixed, min((best_seconds, 0, best), (other_seconds, 1, other), (fixed_seconds, 2, fixed))[2]


def begin(place: Place, table: str, entry: Entry) -> None:
    """Starts the entry's process in its setting, and records how long that took; drops it if it fails."""
    assert entry.setting is not None
    start = time.monotonic()
    try:
        if entry.contestant is catalogue.TUTTI:
            entry.child = start_tutti(place, entry.setting.form or entry.setting.batch, table == "training")
        else:
            entry.child = start_peer(place, table, entry.contestant.name, entry.setting.threads)
            prepare(entry.child, entry.setting)
        entry.ready_seconds = time.monotonic() - start
        timed(entry.child)  # warm, as all will be
    except ContestantFailed as error:
        entry.drop(str(error))


def measure_round(entries: list[Entry]) -> None:
    """Every entry once."""
    for entry in entries:
        if entry.child:
            try:
                entry.seconds.append(timed(entry.child))
            except ContestantFailed as error:
                entry.drop(str(error))


def weigh(entries: list[Entry]) -> None:
    """The memory of each family, after work."""
    for entry in entries:
        if entry.child:
            entry.memory_bytes = pss_bytes(entry.child.pid)


def answer_of(child: Child, file: Path) -> array.array:
    child.ask("save", str(file), "saved")
    values = array.array("f")
    values.frombytes(file.read_bytes())
    return values


def greatest_difference(one: array.array, other: array.array) -> float:
    """Infinite if they are not of one size, or a value is not a number."""
    if len(one) != len(other):
        return float("inf")
    differences = [abs(a - b) for a, b in zip(one, other)]
    if any(difference != difference for difference in differences):
        return float("inf")
    return max(differences, default=0.0)


def compare_answers(place: Place, entries: list[Entry]) -> None:
    """Drops the entries whose predictions differ from those of the first entry, Tutti."""
    reference: array.array | None = None
    for entry in entries:
        if entry.child:
            try:
                answer = answer_of(entry.child, place.build / "answer.f32")
            except ContestantFailed as error:
                entry.drop(str(error))
                continue
            if reference is None:
                reference = answer
            entry.difference = greatest_difference(reference, answer)
            if entry.difference > TOLERANCE:
                entry.drop(f"its predictions differ from Tutti's by {entry.difference:.1e}, more than {TOLERANCE:.0e}")
