"""Tutti: ensembles of models, one process per model, that predict as one.

What needs the compiled library is imported when it is first used, so that `tutti.export` also works where only the
Python files are installed (`pip install ./python`). Nothing here imports NumPy, torch or other large modules early, not
even large ones of the standard library.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as that of typing, which takes longer to import than the rest
if TYPE_CHECKING:
    from typing import Any

    from ._core import Event, FaultCounts, Health, IncompleteSegment, MemberStatus, Predictions, Status
    from ._ensemble import Ensemble
    from ._errors import Error, FailedError, Interrupted, UsageError
    from ._executor import Executor
    from ._future import Future
    from ._lease import Lease
    from ._modules import Exported
    from ._report import Report, Score

# The module of each public name.
_HOMES = {
    "Ensemble": "._ensemble", "Future": "._future", "Predictions": "._core", "IncompleteSegment": "._core",
    "Status": "._core", "MemberStatus": "._core", "FaultCounts": "._core", "Health": "._core", "Event": "._core",
    "Exported": "._modules", "Error": "._errors", "UsageError": "._errors", "FailedError": "._errors",
    "Interrupted": "._errors", "Executor": "._executor", "Report": "._report",
    "Score": "._report", "Lease": "._lease",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tutti' has no attribute '{name}'")
    try:
        module = importlib.import_module(home, __name__)
    except ImportError as error:
        from ._missing import explained

        explanation = explained(name, error)
        if explanation is error:
            raise
        raise explanation from None
    globals()[name] = value = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
