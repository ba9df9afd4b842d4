"""A step and what it found; the order, the deadlines and the reports of all steps."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from . import machine, report
from .running import Outcome, Running, run

SCHEMA = "tutti.gpu-check/1"
TAIL = 4000  # characters of output that a report keeps per step
LEAST_SECONDS = 2.0  # a step with less than that left is not started


class OutOfTime(Exception):
    """The deadline of the step, or of all of them, passed."""


class CannotGoOn(Exception):
    """The rest of the step makes no sense; the reason is among its checks."""


@dataclass
class Step:
    """What is to be done, and its deadline."""

    name: str
    title: str
    seconds: float
    gpu_only: bool  # what it shows, it shows only on a GPU
    work: Callable[["Findings", "Place"], None]


class Findings:
    """What a step found. `skip` is for what could not be shown here; it never counts as passed."""

    def __init__(self, step: Step, seconds: float) -> None:
        self.step = step
        self.checks: list[dict[str, Any]] = []
        self.not_shown: list[dict[str, str]] = []
        self.figures: dict[str, Any] = {}
        self.output = ""
        self.late = ""
        self._begin = time.monotonic()
        self._end = self._begin + seconds

    def left(self) -> float:
        return self._end - time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def check(self, name: str, ok: bool, detail: str = "", wrong: str = "") -> bool:
        """`wrong` is the detail if it does not hold."""
        self.checks.append({"name": name, "ok": bool(ok), "detail": detail or ("" if ok else wrong)})
        return bool(ok)

    def need(self, name: str, ok: bool, wrong: str = "") -> None:
        """The step ends here if it does not hold."""
        if not self.check(name, ok, wrong=wrong):
            raise CannotGoOn(name)

    def skip(self, name: str, reason: str) -> None:
        self.not_shown.append({"name": name, "reason": reason})

    def keep(self, outcome: Outcome) -> Outcome:
        """Adds a command to the step's output. Raises OutOfTime if it was killed at the deadline."""
        words = " ".join(Path(word).name if word.startswith("/") else word for word in outcome.command)
        end = "killed at the deadline" if outcome.code is None else f"exit code {outcome.code}"
        self.output += f"$ {words}\n{outcome.output.rstrip()}\n[{end}, {outcome.seconds:.1f} s]\n"
        if outcome.code is None:
            raise OutOfTime(words)
        return outcome

    def run(self, command: list[Any], env: dict[str, str]) -> Outcome:
        if self.left() <= 0:
            raise OutOfTime(str(command[0]))
        return self.keep(run(command, self.left(), env))

    def status(self, rehearsal: bool) -> str:
        if any(not check["ok"] for check in self.checks):
            return "failed"
        if self.late:
            return "timed out"
        if not self.checks:
            return "skipped"
        return "rehearsed" if rehearsal and self.step.gpu_only else "passed"

    def as_json(self, rehearsal: bool) -> dict[str, Any]:
        detail = f"out of time: {self.late}" if self.late else ""
        if not self.checks and self.not_shown:
            detail = self.not_shown[0]["reason"]
        return {"name": self.step.name, "title": self.step.title, "status": self.status(rehearsal), "detail": detail,
                "seconds": round(self.seconds(), 2), "checks": self.checks, "not_shown": self.not_shown,
                "figures": self.figures, "output_tail": self.output[-TAIL:]}


@dataclass
class Place:
    """Where everything is, and where members run."""

    pack: Path
    scratch: Path
    output: Path
    manifest: dict[str, Any]
    rehearsal: bool
    env: dict[str, str]
    unusable: str = ""  # why no program of the pack can run here
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return "cpu" if self.rehearsal else "cuda:0"

    @property
    def tutti(self) -> Path:
        return self.pack / "bin" / "tutti"

    def start(self, command: list[Any]) -> Running:
        return Running(command, self.env)

    def scaled(self, on_gpu: int, rehearsed: int) -> int:
        return rehearsed if self.rehearsal else on_gpu


def perform(step: Step, place: Place, seconds: float) -> dict[str, Any]:
    """One step, whatever happens in it."""
    found = Findings(step, min(step.seconds, seconds))
    if place.unusable and step.work is not machine.describe:
        found.skip(step.name, place.unusable)
    elif found.left() < LEAST_SECONDS:
        found.late = "none of the time was left"
    else:
        try:
            step.work(found, place)
        except OutOfTime as late:
            found.late = str(late)
        except CannotGoOn:
            pass
        except Exception as error:  # a broken step must not take the others with it
            found.check("the step could be carried out", False, f"{type(error).__name__}: {error}")
            found.output += traceback.format_exc()
    return found.as_json(place.rehearsal)


def check_all(pack: Path, options: Any) -> int:
    from .steps import STEPS

    begin = time.monotonic()
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    for name in ("gpu-check.json", "gpu-check.md", "rows.jsonl"):
        (output / name).unlink(missing_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="gpu-check-"))
    place = Place(pack, scratch, output, json.loads((pack / "manifest.json").read_text()), options.rehearse,
                  dict(os.environ))
    result: dict[str, Any] = {
        "schema": SCHEMA, "started": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rehearsal": options.rehearse, "device": place.device, "seconds": 0.0, "pack": place.manifest, "machine": {},
        "steps": []}
    try:
        machine.prepare(place)
        for step in STEPS:
            if options.only and step.name not in options.only:
                continue
            done = perform(step, place, options.seconds - (time.monotonic() - begin))
            result["steps"].append(done)
            result["machine"] = place.machine
            result["seconds"] = round(time.monotonic() - begin, 2)
            report.write(result, output)
            print(f"{done['status']:10} {done['seconds']:7.1f} s  {step.title}", flush=True)
            for check in done["checks"]:
                if not check["ok"]:
                    print(f"           {check['name']}: {check['detail']}", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"report: {output / 'gpu-check.md'}")
    return 1 if any(step["status"] in ("failed", "timed out") for step in result["steps"]) else 0
