"""A contestant without libraries. Its first argument says what is wrong with it."""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench" / "peers"))

from protocol import private_stdout, serve  # noqa: E402

fault = sys.argv[1]
if fault == "silent":
    time.sleep(600)
if fault == "gone":
    sys.exit("the dog ate it")
if fault == "chatty":
    print("no JSON", flush=True)
out = private_stdout()
print("a library's greeting", flush=True)
if fault == "parent":
    child = subprocess.Popen(["sleep", "600"])
prepared: list = []


def prepare(form: str, batch: int) -> None:
    if form == "bad":
        raise ValueError("this form is bad\nand this is a second line")
    prepared[:] = [form, batch]


def run() -> float:
    return float(prepared[1])


def save(file: Path) -> None:
    file.write_text(str(child.pid) if fault == "parent" else str(os.environ.get("MALLOC_TOP_PAD_")))


serve(out, prepare, run, save)
