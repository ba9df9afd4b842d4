"""`hf:owner/name[@revision]`, found in the local Hugging Face cache. Never uses the network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import ExportError

PREFIX = "hf:"
_NAME = re.compile(r"^(datasets/)?([\w.-]+/)?[\w.-]+$")


@dataclass(frozen=True)
class HubName:
    """The parts of a name after `hf:`."""

    repository: str  # "owner/name"
    revision: str  # a branch, a tag or a commit
    is_dataset: bool

    def folder_name(self) -> str:
        """The name of its folder in the cache: models--owner--name."""
        return "--".join(["datasets" if self.is_dataset else "models", *self.repository.split("/")])

    def download_command(self) -> str:
        """The command for a machine with network access."""
        words = ["hf", "download", self.repository]
        words += ["--repo-type", "dataset"] if self.is_dataset else []
        words += ["--revision", self.revision] if self.revision != "main" else []
        return " ".join(words)


def is_hub_name(text: str) -> bool:
    return text.startswith(PREFIX)


def parse(text: str) -> HubName:
    """Raises ExportError if `text` is not hf:[datasets/]owner/name[@revision]."""
    name, _, revision = text.removeprefix(PREFIX).partition("@")
    if not _NAME.match(name) or (text.endswith("@")) or ".." in name:
        raise ExportError(f"'{text}' does not name a repository",
                          hint="write hf:owner/name, hf:owner/name@revision or hf:datasets/owner/name")
    return HubName(name.removeprefix("datasets/"), revision or "main", name.startswith("datasets/"))


def cache_folder() -> Path:
    """Where huggingface_hub keeps its repositories: the same variables in the same order."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := os.environ.get(variable):
            return Path(value).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "huggingface" / "hub"


def snapshot(name: HubName) -> Path | None:
    """The folder of the repository's files at that revision; None if the cache lacks it."""
    repository = cache_folder() / name.folder_name()
    reference = repository / "refs" / name.revision
    commit = reference.read_text().strip() if reference.is_file() else name.revision
    folder = repository / "snapshots" / commit
    return folder if folder.is_dir() and any(folder.iterdir()) else None


def resolve(text: str) -> Path:
    """A local path, or hf:... as the folder of its snapshot in the cache.

    Raises ExportError with the download command if the cache lacks it, and if a local path does not exist."""
    if not is_hub_name(text):
        path = Path(text).expanduser()
        if not path.exists():
            looks_like_hub = re.match(r"^[\w.-]+/[\w.-]+$", text) is not None
            raise ExportError(f"'{text}' does not exist",
                              hint=f"write hf:{text} for the repository of that name in the Hugging Face cache"
                              if looks_like_hub else "")
        return path
    name = parse(text)
    folder = snapshot(name)
    if folder is None:
        raise ExportError(f"'{text}' is not in the local Hugging Face cache",
                          detail=f"looked for revision '{name.revision}' in {cache_folder() / name.folder_name()}",
                          hint=f"with network access: {name.download_command()}")
    broken = sorted(entry.name for entry in folder.rglob("*") if entry.is_symlink() and not entry.exists())
    if broken:
        raise ExportError(f"'{text}' is incomplete in the local Hugging Face cache: {', '.join(broken[:5])}",
                          hint=f"with network access: {name.download_command()}")
    return folder
