"""The schema that `tutti schema` prints, used as an editor uses it: it accepts the examples and what the documentation
shows, and rejects mistakes that the program rejects. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support import HERE, run_tests

TUTTI = ""  # the program
ROOT = HERE.parents[1]
ONE = "members: [{name: a, model: {kind: fake}}]\n"

RIGHT = [
    ONE,
    ONE + "slots: null\nx-mine: {anything: [1, two]}\n",
    ONE + "assignment: null\n",
    ONE + "assignment: {a: {cpu: [0, 1]}}\n",
    ONE + "assignment: [0]\n",
    ONE + "save_members: yes\nspares: none\nprogress_deadline_s: off\npoison_limit: off\nrestarts: {limit: off}\n",
    ONE + "segment_images: auto\nbatch_images: 8\n",
    ONE + "input: {dataset: random, count: 5, limit: 3}\n",
    "members: [{name: a, model: {kind: fake}, takes: [x]}]\ninput: {dataset: npy, inputs: {x: a.npy, y: b.npz:y}}\n",
    ONE + "input: {inputs: {x: {shape: [2, 3], dtype: uint8}}}\n",
    ONE + "input: {dataset: folder, path: photos, preprocess: imagenet, crop: [200, 100]}\n",
    ONE + "combine: {rule: weighted, normalize: false, axis: -1}\n",
    ONE + "train: {epochs: 2, input: {dataset: digits}}\n",
    "defaults: {model: {kind: torchscript}, input: clip}\nmembers: [{name: a, model: {path: a.pt}}]\n",
    "defaults: {model: {kind: mlp, layers: [4, 2]}}\nmembers: [{name: a}]\n",
    "members: [{name: a, model: {kind: fake}, views: [hflip, {crops: 5, size: 3}, {scale: 1.5}], takes: image}]\n",
    "members: [{name: a, model: {kind: aoti, path: [a.pt2, b.pt2]}}]\n",
    "members: [{name: a, model: {kind: torchscript, path: a.pt, output: [0, mask]}, output: features}]\n"
    "combine: {over: features}\n",
    "members: [{name: a, model: {kind: fake, faults: [{kind: nan, phase: predict}]}, train: {epochs: 3}}]\n",
    "members:\n  - &one {name: a, model: {kind: fake}}\n  - {<<: *one, name: b}\nworkers: [{members: [a, 1], mode: loop}]\n",
    ONE + "workers: [{members: [a], replicas: 2}]\n",
    ONE + "workers: [{members: [a], replicas: {cpu: 1, cuda: 1}, same_bits: off}]\n",
]

WRONG = [
    "slots: 4\n",  # no members
    "members: []\n",
    "members: [{model: {kind: fake}}]\n",  # no name
    ONE + "slot: 4\n",
    ONE + "slots: 257\n",
    ONE + "slots: many\n",
    ONE + "segment_images: some\n",
    ONE + "save_members: 2\n",
    ONE + "on_nan: ignore\n",
    ONE + "combine: {rule: men}\n",
    ONE + "combine: {rule: mean, normalize: true}\n",  # belongs to weighted
    ONE + "combine: {axis: 0}\n",
    ONE + "input: {dataset: digit}\n",
    ONE + "input: {dataset: random}\n",  # no count
    ONE + "input: {dataset: random, count: 5, path: x}\n",  # of other data sets
    ONE + "input: {dataset: folder, path: x, resize: [1, 2, 3]}\n",
    ONE + "input: {dataset: folder, path: x, preprocess: imagnet}\n",
    ONE + "restarts: {window_s: 0}\n",
    ONE + "train: {learning_rate: fast}\n",
    ONE + "merge: {method: slerp, density: 0.5}\n",
    ONE + "workers: [{device: cpu}]\n",
    ONE + "workers: [{members: [a], replicas: 65}]\n",
    ONE + "views: [flip]\n",
    ONE + "tasks: [{name: t}]\n",
    "members: [{name: a, model: {kind: fakes}}]\n",
    "members: [{name: a, model: {kind: mlp, layers: [4, 2], path: x}}]\n",
    "members: [{name: a, model: {kind: fake, classes: 0}}]\n",
    "members: [{name: a, model: {kind: fake}, wieght: 2}]\n",
    "members: [{name: a, model: {kind: fake}, train: {input: {dataset: digits}}}]\n",
    "defaults: {name: a}\n" + ONE,
]


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        import jsonschema

        schema = json.loads(subprocess.run([TUTTI, "schema"], capture_output=True, text=True, check=True).stdout)
        jsonschema.Draft7Validator.check_schema(schema)
        cls.validator = jsonschema.Draft7Validator(schema)

    def mistakes(self, text: str) -> list[str]:
        import yaml

        return [error.message for error in self.validator.iter_errors(yaml.safe_load(text))]

    def accepts(self, text: str) -> tuple[bool, str]:
        """Whether the program takes a description, and what it says about it."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "e.yaml").write_text(text)
            answer = subprocess.run([TUTTI, "validate", "e.yaml"], capture_output=True, text=True, cwd=folder)
        return answer.returncode == 0, answer.stderr

    def test_every_example_is_accepted(self) -> None:
        examples = sorted((ROOT / "config").glob("**/*.yaml"))
        self.assertGreater(len(examples), 10)
        for file in examples:
            self.assertEqual(self.mistakes(file.read_text()), [], file.name)

    def test_what_the_documentation_shows_is_accepted(self) -> None:
        shown = 0
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            for text in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
                if not text.startswith("members:") or "..." in text:
                    continue  # a part
                self.assertEqual(self.mistakes(text), [], f"{page.name}: {text}")
                shown += 1
        self.assertGreater(shown, 5)

    def test_what_the_program_accepts_is_accepted(self) -> None:
        for text in RIGHT:
            accepted, said = self.accepts(text)
            self.assertTrue(accepted, f"{text}{said}")
            self.assertEqual(self.mistakes(text), [], text)

    def test_mistakes_that_the_program_rejects_are_rejected(self) -> None:
        for text in WRONG:
            accepted, _ = self.accepts(text)
            self.assertFalse(accepted, text)
            self.assertNotEqual(self.mistakes(text), [], text)

    def test_what_init_writes_names_no_key_that_is_unknown(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "a.pt").write_text("x")
            (folder / "i.npy").write_bytes(array_of_one())
            subprocess.run([TUTTI, "init", "a.pt", "i.npy", "--no-start"], cwd=folder, check=True, capture_output=True)
            self.assertEqual(self.mistakes((folder / "ensemble.yaml").read_text()), [])


def array_of_one() -> bytes:
    """An .npy file with one image of 3x4x4."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 4, 4), }".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(4 * 48)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("jsonschema", "yaml")
