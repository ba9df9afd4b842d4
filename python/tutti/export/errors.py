"""Errors while exporting, and packages that may be missing. Prints nothing."""

from __future__ import annotations

import importlib
from types import ModuleType

from .._errors import Error

# What to install for a module; the module's name if it is not listed.
PACKAGES = {"yaml": "pyyaml", "PIL": "pillow"}


class ExportError(Error):
    """The export is not possible like this; `detail` and `hint` may be empty."""

    exit_code = 2


class DoesNotAgree(ExportError):
    """The exported model does not compute what the original does."""

    exit_code = 1


def counted(count: int, what: str) -> str:
    """\"1 image\", \"2 images\", \"3 classes\"."""
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('s') else 's'}"


def need(module: str, purpose: str) -> ModuleType:
    """The imported `module`. Raises ExportError that says what to install if it is missing."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).split(".")[0]
        package = PACKAGES.get(missing, missing)
        raise ExportError(f"{purpose} needs the Python package '{package}', which is not installed",
                          hint=f"pip install {package}") from None


def first_line(error: BaseException) -> str:
    """The type and the first line of another library's error, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"
