"""Descriptions of ensembles from Python values: YAML of dicts, of lists of files. Starts nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ._errors import UsageError

TYPE_CHECKING = False  # as that of typing, which takes longer to import than the rest
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias, Union

    Files: TypeAlias = Iterable[Union[str, os.PathLike[str]]]
    Description: TypeAlias = Union[str, os.PathLike[str], Mapping[str, Any]]
    DeviceMap: TypeAlias = Union[str, Mapping[Any, Any], Sequence[Any]]


def flow(value: Any, where: str = "the description") -> str:
    """One value as YAML in flow style, which reads back as the same value. `where` is its place, for messages.

    Raises UsageError for a value that YAML has no form for."""
    if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a scalar of NumPy or torch
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value - value != 0:  # infinite, or NaN
            raise UsageError(f"{where} is {value}, and numbers of a description are finite")
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        import json

        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = (f"{flow(key, where)}: {flow(item, f'{where}.{key}')}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item, f"{where}[{place}]") for place, item in enumerate(value)) + "]"
    raise UsageError(f"{where} is a {type(value).__name__}, which a description cannot hold",
                     hint="use text, numbers, True or False, None, lists and dicts")


def of_files(files: Files, shape: Sequence[int] | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The description of an ensemble of models in files. Raises UsageError if one is not there."""
    import glob
    from pathlib import Path

    if isinstance(files, (str, os.PathLike)):
        files = [files]
    members = []
    for file in files:
        path = Path(file)
        if not path.exists():
            raise UsageError(f"there is no file '{path}'", hint="name the files of models, such as models/a.pt")
        members.append({"glob": glob.escape(str(path))})
    if not members:
        raise UsageError("an ensemble needs at least one model", "the list of files is empty")
    description: dict[str, Any] = {"members": members}
    if shape is not None:
        description["input"] = {"shape": list(shape)}
    description.update(settings)
    if "input" not in description:
        raise UsageError("the shape of the samples is not known",
                         hint="say the shape of one: shape=(3, 224, 224); other inputs: input={...}")
    return description


def overrides_of(settings: Mapping[str, Any]) -> list[str]:
    """`key=value` for each of them."""
    return [f"{key}={flow(value, key)}" for key, value in settings.items()]


def is_text(description: str) -> bool:
    """Whether it is YAML itself, and not the name of a file."""
    return "\n" in description or ": " in description or description.rstrip().endswith("}")
