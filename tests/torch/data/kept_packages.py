"""Puts what make_packages.py makes into a folder, from the user's cache if it is there.

    python kept_packages.py FOLDER

Compiling the packages takes a minute and a half. They are the same for one script, torch, compiler and CPU.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MAKE = Path(__file__).parent / "make_packages.py"


def key() -> str:
    version = Path(importlib.util.find_spec("torch").origin).parent / "version.py"
    flags = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")]
    compiler = subprocess.run([os.environ.get("CXX", "g++"), "--version"], capture_output=True, text=True).stdout
    parts = "\0".join([MAKE.read_text(), version.read_text(), *flags[:1], compiler])
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def make(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="packages-new-") as place:
        whole = Path(place) / "packages"
        whole.mkdir()
        subprocess.run([sys.executable, "-B", MAKE, whole], check=True)
        try:
            whole.rename(kept)
        except OSError:
            if not kept.exists():  # nobody else was faster
                raise


def main() -> None:
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tutti" / f"packages-{key()}"
    if not kept.exists():
        make(kept)
    shutil.copytree(kept, sys.argv[1], dirs_exist_ok=True)


if __name__ == "__main__":
    main()
