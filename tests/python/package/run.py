"""Runs tests of the package `tutti` by pytest: run.py PACKAGE_FOLDER FILE... The folder comes first on the path, also of
the processes that tests start. Says SKIPPED if a package is missing."""

from __future__ import annotations

import importlib.util
import os
import sys


def main() -> int:
    folder, *words = sys.argv[1:]
    folder = os.path.abspath(folder)  # tests start processes in other folders
    missing = [name for name in ("pytest", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"SKIPPED: {sys.executable} has no {', '.join(missing)}; -DTUTTI_PYTHON=... names another interpreter")
        return 0
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = folder + (os.pathsep + before if before else "")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    import pytest

    return int(pytest.main(["-q", "-p", "no:cacheprovider", "--durations=3", *words]))


if __name__ == "__main__":
    sys.exit(main())
