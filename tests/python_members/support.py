"""Runs of the program on members of kind `python`, in a separate folder. The members' interpreter is the one that runs
the tests."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = "tutti"
LIMIT = 100  # seconds; nothing waits so long unless it is broken

# 200 random images of 1x4x4 in segments of 20 and batches of 8.
INPUT = "input: {dataset: random, count: 200, shape: [1, 4, 4], classes: 3, seed: 3}\nsegment_images: 20\nbatch_images: 8\n"

MODULE = '''
import os, time
import numpy

WEIGHTS = numpy.random.RandomState(7).rand(16, 3).astype(numpy.float32)


def make(scale=1, **rest):
    return lambda x: x.reshape(len(x), -1) @ WEIGHTS * scale


def slow(seconds=0.003):
    def predict(x):
        time.sleep(seconds)
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
'''


def member(name: str = "a", factory: str = "mine:make", more: str = "", beside: str = "") -> str:
    return (f"  - {{name: {name}, model: {{kind: python, factory: '{factory}', python: '{sys.executable}'"
            f"{', ' + more if more else ''}}}{', ' + beside if beside else ''}}}\n")


def described(*members: str, more: str = "", data: str = INPUT) -> str:
    return ("members:\n" + "".join(members or (member(),)) + "assignment: cpu\ncombine: {rule: mean, over: logits}\n" +
            data + more)


def run_tests(*packages: str) -> None:
    """As a program with --tutti: runs the tests of the main module, or says SKIPPED if a package is missing."""
    global PROGRAM
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    PROGRAM = known.tutti
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        print(f"SKIPPED: {sys.executable} has no {', '.join(missing)}; -DTUTTI_PYTHON=... names another interpreter")
        return
    unittest.main(argv=[sys.argv[0], *rest])


def children_of(pid: int) -> list[int]:
    text = ""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            text += task.read_text()
        except OSError:
            pass
    return [int(word) for word in text.split()]


class MembersTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.write("mine.py", MODULE)

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def start(self, *words: str, folder: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        program = subprocess.Popen([PROGRAM, *words], cwd=folder or self.folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env={**usual, **environment})
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        return program

    def finish(self, program: subprocess.Popen[str]) -> tuple[int, str]:
        """The exit code, and what it wrote to stderr."""
        _, errors = program.communicate(timeout=LIMIT)
        return program.returncode, errors

    def ran(self, description: str, *words: str, code: int = 0) -> str:
        """What `tutti run` on this description writes to stderr; it must end with this code."""
        self.write("e.yaml", description)
        ended, errors = self.finish(self.start("run", "e.yaml", *words))
        self.assertEqual(ended, code, errors)
        return errors

    def refused(self, description: str, *words: str) -> str:
        return self.ran(description, *words, code=2)

    def bytes_of(self, name: str = "runs/0001", file: str = "predictions.npy") -> bytes:
        return (self.folder / name / file).read_bytes()

    def predictions(self, name: str = "runs/0001"):
        import numpy

        return numpy.load(self.folder / name / "predictions.npy")

    def report(self, name: str = "runs/0001") -> dict:
        return json.loads((self.folder / name / "report.json").read_text())

    def eventually(self, condition) -> None:
        """Waits for an event."""
        end = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not happen")
            time.sleep(0.01)
