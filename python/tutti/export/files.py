"""Files that appear complete or not at all, and text for YAML. Knows no models."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from .errors import ExportError

# Text that needs no quotes and is not a number, a boolean or null.
_PLAIN = re.compile(r"^[A-Za-z_./][\w./+@-]*$")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_lfs_pointer(file: Path) -> None:
    """Raises ExportError if Git LFS has left a pointer in the file's place. A file that cannot be read is left to its
    reader."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(LFS_POINTER))
    except OSError:
        return
    if start == LFS_POINTER:
        raise ExportError(f"{file} is a Git LFS pointer, not the file itself",
                          "the repository was cloned without its large files", "run 'git lfs pull' in the repository")


def refuse_lfs_pointers(folder: Path) -> None:
    """The same for the files of a model in a folder."""
    for pattern in ("*.json", "*.safetensors", "*.bin", "*.txt"):
        for file in sorted(folder.glob(pattern)):
            refuse_lfs_pointer(file)


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """A path next to `file` to write to; it becomes `file` if the block succeeds, and is removed if it fails.

    It keeps the suffix, which some writers look at. Raises ExportError if the folder does not exist."""
    if not file.parent.is_dir():
        raise ExportError(f"the folder '{file.parent}' does not exist", hint=f"mkdir -p '{file.parent}'")
    if file.is_dir():
        raise ExportError(f"cannot write '{file}': it is a folder")
    partial = file.with_name(f".{file.stem}.{os.getpid()}{file.suffix}")
    try:
        yield partial
        umask = os.umask(0o077)  # there is no other way to read it
        os.umask(umask)
        partial.chmod(0o666 & ~umask)  # some writers make files that only their owner can read
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """The same for a folder. Also raises ExportError if it exists and is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"'{folder}' already exists", hint="choose another --output, or remove it")
    if not folder.parent.is_dir():
        raise ExportError(f"the folder '{folder.parent}' does not exist", hint=f"mkdir -p '{folder.parent}'")
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def scalar(value: Any) -> str:
    """One value as YAML: quoted if it would otherwise be read as something else."""
    if isinstance(value, str):
        return value if _PLAIN.match(value) and value.lower() not in _WORDS else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        text = f"{value:.9g}"  # float32 comes back from nine digits
        return text if any(letter in text for letter in ".en") else text + ".0" if "inf" not in text else text
    return json.dumps(value)


def flow(value: Any) -> str:
    """A value as YAML on one line: {name: cnn-0, model: {kind: aoti, path: a.pt2}}."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(entry) for entry in value) + "]"
    return scalar(value)
