"""Finds what belongs to this installation: the program, the worker, and the libraries of this Python environment that
the workers open. Imports none of them."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

from ._errors import UsageError

PACKAGE = Path(__file__).parent

# The packages whose library a worker opens as it is, whatever its version, and the variable that leads to it.
OPENED = {"onnxruntime": "TUTTI_ONNXRUNTIME", "openvino": "TUTTI_OPENVINO"}


def is_wheel() -> bool:
    """Whether the worker came with this package. In a build folder its plugins know their LibTorch."""
    return (PACKAGE / "libexec" / "tutti").is_dir()


def program() -> Path:
    """The program `tutti`. Raises UsageError if only the Python files are installed."""
    for folder in (PACKAGE / "bin", PACKAGE.parent.parent / "bin"):
        if (folder / "tutti").is_file():
            return folder / "tutti"
    raise UsageError("this installation of Tutti has no program", f"looked in {PACKAGE / 'bin'}",
                     "install the whole package: pip install . in the top folder of Tutti, not in python/")


def folder_of(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # ValueError: a module that was put together by hand
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def version_of_torch(folder: Path) -> str:
    """"2.11.0", or nothing if its version file cannot be read."""
    try:
        text = (folder / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"__version__\s*(?::\s*\w+)?\s*=\s*['\"](\d+\.\d+\.\d+)", text)
    return found.group(1) if found else ""


def torch_problem(folder: Path | None, wanted: str) -> UsageError | None:
    """Why workers cannot use the torch of this environment, if they cannot; `wanted` is the version that the plugin was
    built with, or nothing if there is no plugin."""
    if not wanted:
        return UsageError("this build of Tutti has no LibTorch backend", "it was built with TUTTI_WITH_TORCH=OFF",
                          "install torch and then Tutti again: pip install .")
    if folder is None:
        return UsageError("some members need torch, which this Python environment does not have",
                          f"environment: {sys.prefix}", f"pip install 'torch=={wanted}'")
    found = version_of_torch(folder)
    if found != wanted:
        return UsageError(f"some members need torch {wanted}, and this Python environment has "
                          f"{found or 'one whose version cannot be read'}", f"it is in {folder}",
                          f"pip install 'torch=={wanted}', or build Tutti with this torch: pip install .")
    return None


def possible_variables(libraries: list[str], torch_version: str) -> list[tuple[str, str]]:
    """The same for libraries that members may use: those that are not there are left out."""
    variables = []
    if "torch" in libraries and not os.environ.get("TUTTI_LIBTORCH"):
        folder = folder_of("torch")
        if torch_problem(folder, torch_version) is None:
            variables.append(("TUTTI_LIBTORCH", str(folder)))
    for library, variable in OPENED.items():
        folder = folder_of(library) if library in libraries and not os.environ.get(variable) else None
        if folder is not None:
            variables.append((variable, str(folder)))
    return variables


def worker_variables(libraries: list[str], torch_version: str) -> list[tuple[str, str]]:
    """The variables that lead workers to the libraries of this environment, for those that members need. What the user
    has set counts, and is left to the worker to check.

    Raises UsageError if an installed Tutti needs a torch that is not there, or another one."""
    variables = []
    if "torch" in libraries and not os.environ.get("TUTTI_LIBTORCH"):
        folder = folder_of("torch")
        problem = torch_problem(folder, torch_version)
        if problem is None:
            variables.append(("TUTTI_LIBTORCH", str(folder)))
        elif is_wheel():
            raise problem
    for package, variable in OPENED.items():
        if package not in libraries or os.environ.get(variable):
            continue
        folder = folder_of(package)
        if folder is not None:
            variables.append((variable, str(folder)))
        elif is_wheel():
            raise UsageError(f"some members need {package}, which this Python environment does not have",
                             f"environment: {sys.prefix}", f"pip install {package}")
    return variables
