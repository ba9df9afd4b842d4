"""What the tests of the package share: ensembles of `fake` members, images, and processes that use the package."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import textwrap
from typing import Any, Callable, Iterator

import numpy
import pytest

import tutti

SHAPE = (3, 4, 4)


def described(delay_ms: int = 0, **more: Any) -> dict[str, Any]:
    """Two members that differ, and what is given over it."""
    model = {"kind": "fake", "classes": 5, "delay_ms": delay_ms}
    found: dict[str, Any] = {
        "members": [{"name": "a", "model": dict(model)}, {"name": "b", "model": dict(model)}],
        "assignment": "cpu",
        "input": {"shape": list(SHAPE)},
        "segment_images": 8,
        "batch_images": 4,
    }
    return copy.deepcopy(found | more)


def hanging() -> dict[str, Any]:
    """The same, but a member that starts to predict never ends."""
    found = described()
    found["members"][1]["model"]["faults"] = [{"kind": "hang", "phase": "predict", "at_batch": 0}]
    return found


@pytest.fixture
def opened() -> Iterator[Callable[..., tutti.Ensemble]]:
    """Makes ensembles that are closed after the test."""
    made: list[tutti.Ensemble] = []

    def make(*words: Any, **options: Any) -> tutti.Ensemble:
        made.append(tutti.Ensemble(*words, **options))
        return made[-1]

    yield make
    for ensemble in made:
        ensemble.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[tutti.Ensemble]:
    """One ensemble for tests that leave it as it is."""
    with tutti.Ensemble(described(save_members=True)) as ensemble:
        yield ensemble


def images(count: int = 20, seed: int = 1) -> numpy.ndarray:
    return numpy.random.default_rng(seed).random((count, *SHAPE), dtype=numpy.float32)


def run_python(code: str, *, timeout: float = 60, input: str | None = None,
               leak_warnings: bool = True) -> subprocess.CompletedProcess[str]:
    """A process that runs the code, with this folder's conftest at hand, and says which objects are left at its end."""
    environment = {name: value for name, value in os.environ.items() if name != "TUTTI_LEAK_WARNINGS"}
    if leak_warnings:
        environment["TUTTI_LEAK_WARNINGS"] = "1"
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout,
                          input=input, cwd=__file__.rsplit("/", 1)[0], env=environment)
