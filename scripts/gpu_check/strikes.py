"""Kills a worker in the middle of its work, as the kernel would when memory runs out."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Callable

from .ensembles import Run, command_for, last_words
from .running import worker_of

if TYPE_CHECKING:
    from .checks import Findings, Place

STEPS_TO_SEE = 3  # the journal has grown that often: several segments are finished, and more are in flight


class Growth:
    """Says how often a file was seen to have grown."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._size = 0
        self._times = 0

    def __call__(self) -> bool:
        try:
            size = self._file.stat().st_size
        except OSError:
            return False
        self._times += size > self._size
        self._size = size
        return self._times > STEPS_TO_SEE


def strike_predicting(found: "Findings", place: "Place", what: dict[str, Any], member: str) -> Run:
    journal = Growth(place.scratch / "struck" / "journal")
    return strike(found, place, "run", "struck", what, member, lambda output: journal())


def strike_training(found: "Findings", place: "Place", what: dict[str, Any], member: str) -> Run:
    return strike(found, place, "train", "struck-train", what, member,
                  lambda output: any(line.startswith(member) and "epoch 1/" in line for line in output.splitlines()))


def strike(found: "Findings", place: "Place", verb: str, name: str, what: dict[str, Any], member: str,
           is_time: Callable[[str], bool]) -> Run:
    """Kills the worker of `member` with SIGKILL once `is_time` says so, and waits for the command to end."""
    command = place.start(command_for(place, verb, name, what))
    struck = None
    while struck is None and not command.ended() and found.left() > 0:
        if is_time(command.output()):
            struck = worker_of(command.pid, member)
            if struck is not None:
                os.kill(struck, signal.SIGKILL)
        time.sleep(0.002)
    outcome = found.keep(command.finish(found.left()))
    found.need("a worker was killed in the middle", struck is not None, "the command ended before")
    found.need(f"tutti {verb} continues without an error", outcome.code == 0, last_words(outcome.output))
    run = Run(place.scratch / name)
    deaths, generation = run.member(member)["deaths"], run.member(member)["generation"]
    found.check("the report counts one death and one replacement", (deaths, generation) == (1, 1),
                wrong=f"{deaths} deaths, generation {generation}")
    return run
