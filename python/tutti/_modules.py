"""Exports modules of torch for an ensemble that is made of them. The work is that of tutti.export; here is what is chosen
for the user, and said."""

from __future__ import annotations

import argparse
import copy
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import FailedError, UsageError

FORMATS = ("auto", "pt2", "pt")


@dataclass(frozen=True)
class Exported:
    """A module that became a file.

    Attributes
    ----------
    name : str
        Of the member.
    file : Path
    format : str
        "pt2" (AOTInductor) or "pt" (TorchScript).
    difference : float
        The largest difference to the module, over made-up samples in several batch sizes.
    reason : str
        Why it is not "pt2", if that was left to be chosen; else empty.
    """

    name: str
    file: Path
    format: str
    difference: float
    reason: str = ""

    def __str__(self) -> str:
        words = f"{self.name}: exported as .{self.format}, largest difference to the module {self.difference:.2g}"
        return words + (f" (not as .pt2: {self.reason})" if self.reason else "")

    def model(self) -> dict[str, str]:
        """The `model:` of the member."""
        return {"kind": "aoti" if self.format == "pt2" else "torchscript", "path": str(self.file)}


def named(modules: Iterable[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """The modules by the names of their members. Raises UsageError if there are none, or if one is not a module."""
    if hasattr(modules, "state_dict"):
        raise UsageError("one module was given, and not a list of them", f"it is a {type(modules).__name__}",
                         "pass a list: [module]")
    found = dict(modules) if isinstance(modules, Mapping) else {f"m{rank}": one for rank, one in enumerate(modules)}
    if not found:
        raise UsageError("an ensemble needs at least one module")
    for name, module in found.items():
        if not isinstance(name, str) or not name or "/" in name or name in (".", ".."):
            raise UsageError(f"{name!r} cannot be the name of a member", "it also names the file of the module",
                             "use text without '/', such as 'first'")
        if isinstance(module, type):
            raise UsageError(f"{name} is the class {module.__name__} and not a module of it",
                             hint=f"make one: {module.__name__}()")
        if not (hasattr(module, "state_dict") and callable(module)):
            raise UsageError(f"{name} is a {type(module).__name__}, not a torch.nn.Module",
                             hint="files of models: Ensemble.from_files(files)")
    return found


def shape_of(shape: Sequence[int] | None, example: Any) -> tuple[int, int, int]:
    """The shape of one sample: given, or that of an example with the samples along its first axis."""
    if shape is None and example is None:
        raise UsageError("the shape of the samples is not known",
                         hint="give the shape of one, shape=(3, 224, 224), or a few of them, example=images")
    sizes = tuple(shape if shape is not None else example.shape[1:])
    if len(sizes) != 3 or not all(int(size) == size and size > 0 for size in sizes):
        raise UsageError("modules are exported for images, whose shape is (channels, height, width)",
                         f"the shape is {sizes}", "export others by yourself (torch.jit.save), and use Ensemble.from_files")
    return (int(sizes[0]), int(sizes[1]), int(sizes[2]))


def is_on_cpu(device_map: Any) -> bool:
    """Whether it says of every member, in words or as -1, that it is on the CPU."""
    if isinstance(device_map, Mapping):
        places = list(device_map.values())
    elif isinstance(device_map, Sequence) and not isinstance(device_map, str):
        places = list(device_map)
    else:
        places = [device_map]
    return bool(places) and all(str(place) in ("-1", "cpu") or str(place).startswith("cpu:") for place in places)


def formats_to_try(wanted: str, device_map: Any, settings: Mapping[str, Any] = {}) -> tuple[list[str], str]:
    """The formats in the order in which they are tried, and why .pt2 is not the first, if it is not."""
    if wanted not in FORMATS:
        raise UsageError(f"there is no format '{wanted}'", f"it is one of {', '.join(FORMATS)}")
    if wanted != "auto":
        return [wanted], ""
    if not is_on_cpu(device_map) or "assignment" in settings or "workers" in settings:
        return ["pt"], "packages run on the CPU only, and device_map does not put every member there"
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CXX") or "g++", "clang++")):
        return ["pt"], "there is no C++ compiler"
    return ["pt2", "pt"], ""


def export(modules: Mapping[str, Any], shape: tuple[int, int, int], folder: Path, *, formats: list[str], reason: str,
           tolerance: float) -> list[Exported]:
    """Writes each module into the folder, as it would be used in evaluation mode, in float32; the modules stay as they
    are. Prints a line about each to stderr.

    Raises
    ------
    UsageError
        If a module cannot be exported.
    FailedError
        If what was exported does not agree with the module.
    """
    found = []
    for name, module in modules.items():
        found.append(_export_one(name, module, shape, folder, list(formats), reason, tolerance))
        print(f"tutti: {found[-1]}", file=sys.stderr)
    return found


def _export_one(name: str, module: Any, shape: tuple[int, int, int], folder: Path, formats: list[str], reason: str,
                tolerance: float) -> Exported:
    from .export import errors

    while True:
        format = formats.pop(0)
        file = folder / f"{name}.{format}"
        try:
            return Exported(name, file, format, _written(module, shape, file, format, tolerance), reason)
        except errors.ExportError as error:
            if formats:
                reason = error.message
                continue
            kind = FailedError if isinstance(error, errors.DoesNotAgree) else UsageError
            raise kind(f"{name} cannot be exported: {error.message}", error.detail,
                       "change the module, or export it by yourself and use Ensemble.from_files") from None


def _written(module: Any, shape: tuple[int, int, int], file: Path, format: str, tolerance: float) -> float:
    """The largest difference. Raises ExportError."""
    from .export import model, sources
    from .export.errors import DoesNotAgree, ExportError

    try:
        copied = copy.deepcopy(module)
    except Exception as error:
        raise ExportError(f"it cannot be copied: {error}") from error
    plain = copied.cpu().float().eval().requires_grad_(False)
    source = sources.Source(plain, "module", "logits")
    plan = model.Plan(format, None, shape, {})
    options = argparse.Namespace(output=file, entry="", all_entries=False, method="trace", max_batch=1024, device="cpu")
    model.tried(plain, shape, "cpu", "")
    _, runner = model.exported(source, plan, options, file, file)
    difference, largest = model.compared(plain, runner, plan, options)
    if difference > tolerance * largest:
        raise DoesNotAgree("the exported file does not agree with the module",
                           f"it differs by {difference:.2g}, and {tolerance * largest:.2g} is allowed")
    return difference
