"""Keeps the file of a model that is computed fastest here: the program `tutti` tries all of them, as it does for a member of
`kind: auto`. How a model becomes a file is known elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Sequence

from .. import _environment
from .._errors import UsageError
from . import member
from .errors import ExportError, counted
from .files import flow

SEGMENT = 128  # images: the largest batch that Tutti tries on a CPU
MOST_BYTES = 64 << 20  # of a segment, as `segment_images: auto` takes them
OF_SPEED = ("it is slower", "it is not faster")  # reasons that the figures say already (coordinator/decide/candidates.cpp)


@dataclass(frozen=True)
class Form:
    """A kind of member that computes one of the files, and what its trial showed; or a format that has no file."""

    kind: str  # "onnx"; of a format without a file its name
    file: Path | None = None
    images_per_second: float = 0.0  # 0: not measured
    batch: int = 0
    difference: float | None = None  # of its outputs from those of the first file, as a part of the largest of these
    reason: str = ""  # why it was not chosen; empty: it was


def kept(output: Path, endings: Sequence[str], export: Callable[[str, Path], None],
         measure: Callable[[list[Path]], list[Form]]) -> Form:
    """Has a file made for each ending by `export`, which raises ExportError if that cannot be, and keeps the one that
    `measure` finds fastest, as `output` with its ending. Prints a table. Raises ExportError if there is no file, and what
    `measure` raises; no file is kept then."""
    for ending in endings:
        if Path(f"{output}.{ending}").is_dir():
            raise ExportError(f"cannot write '{output}.{ending}': it is a folder")
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        files, missing = [], []
        for ending in endings:
            file = Path(folder) / f"{output.name}.{ending}"
            try:
                export(ending, file)
                files.append(file)
            except ExportError as error:
                reason = "; ".join(part for part in (error.message, error.detail, error.hint) if part)
                missing.append(Form(ending, reason=reason))
        if not files:
            raise ExportError("no file could be made", "\n".join(f"{form.kind}: {form.reason}" for form in missing))
        print(f"measuring {counted(len(files), 'file')}", flush=True)
        forms = measure(files)
        print(table(forms + missing), end="")
        chosen = next(form for form in forms if not form.reason)
        final = Path(f"{output}{chosen.file.suffix}")
        os.replace(chosen.file, final)
    return replace(chosen, file=final)


def program() -> Path:
    """The program `tutti`: that of this package, of a build in this source tree, or in PATH. Raises ExportError if there
    is none."""
    try:
        return _environment.program()
    except UsageError:
        pass
    built = _environment.PACKAGE.parent.parent / "build" / "release" / "bin" / "tutti"
    found = str(built) if built.is_file() else shutil.which("tutti")
    if found is None:
        raise ExportError("--best measures with the program tutti, which was not found",
                          "it is not in this package, not in build/release/bin, and not in PATH",
                          "build it (scripts/demo), or install the whole package: pip install . in the top folder of Tutti")
    return Path(found)


def environment() -> dict[str, str]:
    """Shows the program the libraries of this Python environment, unless the user has named others."""
    # A program that was built here knows its LibTorch.
    packages = _environment.OPENED | ({"torch": "TUTTI_LIBTORCH"} if _environment.is_wheel() else {})
    variables = dict(os.environ)
    for package, variable in packages.items():
        folder = _environment.folder_of(package)
        if folder is not None and not variables.get(variable):
            variables[variable] = str(folder)
    return variables


def description(files: list[Path], answers: str, shape: tuple[int, int, int], batch: int | None, threads: int,
                output: Path) -> str:
    """An ensemble of one member whose forms are `files`; `batch` None: each with the one that is fastest for it."""
    image_bytes = 4 * shape[0] * shape[1] * shape[2]
    segment = batch or max(1, min(SEGMENT, MOST_BYTES // image_bytes))
    entry = member.entry("model", {"model": {"kind": "auto", "files": [str(file.absolute()) for file in files]}}, answers, {})
    settings: dict[str, Any] = {
        "assignment": "cpu", "combine": {"rule": "none", "over": answers}, "on_nan": "allow",
        "input": {"dataset": "random", "count": 1, "shape": list(shape)}, "segment_images": segment, "slots": 1,
        "batch_images": batch or "auto", "threads": threads, "output": str(output)}
    return "members:\n" + member.text_of(entry) + "".join(f"{key}: {flow(value)}\n" for key, value in settings.items())


def measured(files: list[Path], answers: str, shape: tuple[int, int, int], batch: int | None, threads: int) -> list[Form]:
    """The forms of the files, one of which is chosen: `onnx` and `openvino` for an .onnx. Raises ExportError with what
    the program says if it fails."""
    with tempfile.TemporaryDirectory(prefix="tutti-best-") as folder:
        text = Path(folder) / "best.yaml"
        output = Path(folder) / "run"
        text.write_text(description(files, answers, shape, batch, threads, output), encoding="utf-8")
        ended = subprocess.run([program(), "run", text, "--no-cache", "--quiet"], env=environment(),
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if ended.returncode < 0 or ended.returncode == 130:
            raise KeyboardInterrupt if ended.returncode in (-2, 130) else ExportError(
                f"the program tutti was ended by signal {-ended.returncode}")
        if ended.returncode != 0:
            raise ExportError("the files cannot be measured", ended.stderr.strip() or "the program tutti gave no reason")
        report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return [form_of(entry) for entry in report["members"][0]["forms"]]


def form_of(entry: dict[str, Any]) -> Form:
    """One of `forms` of a report."""
    kind, _, file = entry["model"].partition(" ")
    return Form(kind, Path(file), entry["images_per_second"] or 0.0, entry["batch_images"], entry["difference"],
                "" if entry["chosen"] else entry["reason"])


def table(forms: list[Form]) -> str:
    """What was tried, a line for each, and under it why forms were left out that may have been faster."""
    lines = [f"{'form':<12}  {'file':<6}  {'images/s':>9}  {'batch':>5}  {'difference':>10}"]
    for form in forms:
        speed = f"{form.images_per_second:.{1 if form.images_per_second < 100 else 0}f}" if form.images_per_second else "-"
        difference = "-" if form.difference is None else f"{form.difference:.1e}"
        lines.append(f"{form.kind:<12}  {form.file.suffix if form.file else '-':<6}  {speed:>9}  {form.batch or '-':>5}  "
                     f"{difference:>10}{'' if form.reason else '  kept'}")
    lines += [f"{form.kind}: {form.reason}" for form in forms if form.reason and form.reason not in OF_SPEED]
    return "\n".join(lines) + "\n"
