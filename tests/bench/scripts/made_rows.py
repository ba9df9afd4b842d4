"""Made-up rows, and a way to run the scripts on them."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[3] / "bench"
CERTIFICATE = {"version": "tutti 0.1.0-abc", "commit": "0123456789ab", "compiler": "g++ 12.2.0", "libtorch": "2.11.0",
               "cpu": "A CPU", "cores": 2, "governor": "unknown", "kernel": "Linux 6.1.0", "repeats": 3}


def row(name: str = "round trip", samples: tuple = (1.0, 1.01, 0.99), **changes: object) -> dict:
    fields = {"schema": "tutti.bench/1", "certificate": CERTIFICATE, "bench": "micro", "name": name, "conditions": {},
              "unit": "us", "better": "lower", "samples": list(samples)}
    return fields | changes


def skipped(name: str, reason: str) -> dict:
    return row(name, (), skipped=reason)


class ScriptCase(unittest.TestCase):
    """A test with a separate folder."""

    script = ""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name: str, rows: list[dict] | str) -> Path:
        text = rows if isinstance(rows, str) else "".join(json.dumps(fields) + "\n" for fields in rows)
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run_script(self, *arguments: object, environment: dict | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, str(BENCH / self.script), *map(str, arguments)], capture_output=True,
                              text=True, timeout=250, check=False, env=os.environ | (environment or {}))
