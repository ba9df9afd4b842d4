"""Class names and prompt templates: the lists in tutti/tasks, and the user's files. Knows no models."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .errors import ExportError
from .files import refuse_lfs_pointer

DEFAULT_TEMPLATES = ("a photo of a {}.",)


@dataclass(frozen=True)
class TaskLists:
    templates: list[str]  # each with one {}
    classes: list[str]  # in the order of the labels


def known() -> list[str]:
    """The names of the tasks that ship with Tutti."""
    return sorted(entry.name.removesuffix(".txt") for entry in resources.files("tutti.tasks").iterdir()
                  if entry.name.endswith(".txt"))


def task(name: str) -> TaskLists:
    """The lists of a task; _ and - are the same. Raises ExportError that names the nearest if there is none."""
    wanted = name.lower().replace("_", "-")
    if wanted not in known():
        near = difflib.get_close_matches(wanted, known(), 1)
        raise ExportError(f"there is no task '{name}'; there are {', '.join(known())}",
                          hint=f"did you mean {near[0]}?" if near else "name its classes with --classes FILE")
    sections: dict[str, list[str]] = {"[templates]": [], "[classes]": []}
    section: list[str] = []
    for line in (resources.files("tutti.tasks") / f"{wanted}.txt").read_text(encoding="utf-8").splitlines():
        if line in sections:
            section = sections[line]
        elif line and not line.startswith("#"):
            section.append(line)
    return TaskLists(sections["[templates]"], sections["[classes]"])


def lines_of(file: Path, what: str) -> list[str]:
    """One entry per line of a text file, without empty lines. Raises ExportError naming it: unreadable, empty."""
    refuse_lfs_pointer(file)
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ExportError(f"could not read '{file}': {reason}") from None
    entries = [line for line in lines if line]
    if not entries:
        raise ExportError(f"'{file}' has no {what}", hint="one per line")
    return entries


def check_templates(templates: list[str]) -> None:
    """Raises ExportError if a template has no place, or several, for the class name."""
    for template in templates:
        if template.count("{}") != 1:
            raise ExportError(f"the template '{template}' must have {{}} once, for the class name")


def check_classes(classes: list[str]) -> None:
    """Raises ExportError if there are too few, or two are equal: their logits would be the same."""
    if len(classes) < 2:
        raise ExportError(f"a head needs at least two classes, and there is {len(classes)}")
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise ExportError(f"some class names are not unique: {', '.join(twice[:5])}",
                          hint="give each class another name")
