"""Code that the tests of python/tutti share: packages that may be missing, and running the commands as a user does."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / "python"
sys.path.insert(0, str(PYTHON))
sys.dont_write_bytecode = True
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that goes to the network is wrong


def run_tests(*packages: str) -> None:
    """As a program: runs the tests of the main module, or says SKIPPED if a package is missing."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        print(f"SKIPPED: {sys.executable} has no {', '.join(missing)}; -DTUTTI_PYTHON=... names another interpreter")
        return
    unittest.main()


class ExportTest(unittest.TestCase):
    """A fresh folder for every test, and the cache of Hugging Face in it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        before = {name: os.environ.get(name) for name in
                  ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")}
        self.addCleanup(restore, before)
        for name in before:
            os.environ.pop(name, None)
        os.environ["HF_HOME"] = str(self.folder / "cache")

    def export(self, *words: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `python -m tutti.export`."""
        from tutti.export.__main__ import main

        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = main([str(word) for word in words])
            except SystemExit as end:  # argparse
                code = int(end.code or 0)
        return code, out.getvalue(), errors.getvalue()

    def exported(self, *words: object) -> str:
        """What a command that must succeed prints."""
        code, out, errors = self.export(*words)
        self.assertEqual(code, 0, errors)
        return out

    def refused(self, *words: object) -> str:
        """The error of a command that must fail."""
        code, out, errors = self.export(*words)
        self.assertEqual((code, out), (2, ""), errors)
        return errors

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
