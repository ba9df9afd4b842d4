"""The entry of a model in the `members:` of ensemble.yaml: made, printed, added to a file. Knows no models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import ExportError, first_line, need
from .files import flow, written_whole

_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")


def checked_name(name: str) -> str:
    """Raises ExportError if Tutti's configuration would reject it."""
    if not _NAME.match(name) or name.isdigit():
        raise ExportError(f"'{name}' cannot be the name of a member: letters, digits, _ . - are allowed, at most 64, "
        "and not only digits", hint="choose a name with --name")
    return name


def entry(name: str, computes: dict[str, Any], answers: str, member_input: dict[str, Any]) -> dict[str, Any]:
    """The entry in the form of docs/configuration.md; `computes` is its `model`, or its `stages`."""
    found: dict[str, Any] = {"name": checked_name(name), **computes, "output": answers}
    return found | ({"input": member_input} if member_input else {})


def text_of(member: dict[str, Any], indent: str = "  ") -> str:
    """One list item, with each key on a separate line."""
    lines = [f"{key}: {flow(value)}" for key, value in member.items()]
    return f"\n{indent}  ".join([f"{indent}- {lines[0]}", *lines[1:]]) + "\n"


def add_to_file(file: Path, member: dict[str, Any]) -> None:
    """Appends to the file's `members:` and leaves the rest, including comments, unchanged; creates a missing file.

    Raises ExportError if the name is taken, or the file is not a mapping whose `members` is a list in block style."""
    if not file.exists():
        with written_whole(file) as partial:
            partial.write_text("members:\n" + text_of(member), encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    changed = inserted(text, member, str(file))
    with written_whole(file) as partial:
        partial.write_text(changed, encoding="utf-8")


def check_room(file: Path, name: str) -> None:
    """Raises the ExportError that add_to_file() would, before a model is exported, which may take minutes."""
    if file.exists():
        inserted(file.read_text(encoding="utf-8"), {"name": name}, str(file))
    elif not file.parent.is_dir():
        raise ExportError(f"the folder '{file.parent}' does not exist", hint=f"mkdir -p '{file.parent}'")


def inserted(text: str, member: dict[str, Any], name: str) -> str:
    """`text` with the member after the last one; `name` is the file's name in errors."""
    yaml = need("yaml", "adding to a YAML file")
    try:
        root = yaml.compose(text)
    except yaml.YAMLError as error:
        raise ExportError(f"'{name}' is not YAML: {first_line(error)}") from None
    if root is None:
        return text + "members:\n" + text_of(member)
    if not isinstance(root, yaml.MappingNode):
        raise ExportError(f"'{name}' is not a mapping, so it has no 'members'")
    members = next((value for key, value in root.value if key.value == "members"), None)
    if members is None:
        return text.rstrip("\n") + "\nmembers:\n" + text_of(member)
    if _is_empty(members, yaml):
        begin, end = members.start_mark.index, members.end_mark.index
        return text[:begin].rstrip(" ") + "\n" + text_of(member) + text[end:].removeprefix("\n")
    if not isinstance(members, yaml.SequenceNode) or members.flow_style or not members.value:
        raise ExportError(f"the 'members' of '{name}' are not a list with one member per line",
                          detail=f"the entry is:\n{text_of(member)}", hint="add the entry by hand")
    names = [value.value for node in members.value if isinstance(node, yaml.MappingNode)
             for key, value in node.value if key.value == "name"]
    if member["name"] in names:
        raise ExportError(f"'{name}' already has a member '{member['name']}'", hint="choose another with --name")
    lines = text.splitlines(keepends=True)
    # The end mark of a block is at the next token, so the last line with content before it ends the list.
    last = _last_line_of(members.value[-1])
    if not lines[last].endswith("\n"):
        lines[last] += "\n"
    dash = members.start_mark.column
    return "".join(lines[:last + 1]) + text_of(member, " " * dash) + "".join(lines[last + 1:])


def _is_empty(members: Any, yaml: Any) -> bool:
    """`members:` without a value, or `members: []`."""
    if isinstance(members, yaml.ScalarNode):
        return members.value in ("", "~", "null")
    return isinstance(members, yaml.SequenceNode) and not members.value


def _last_line_of(node: Any) -> int:
    """The line of the node's last scalar or closing bracket."""
    children = node.value if isinstance(node.value, list) else []
    if not children or getattr(node, "flow_style", False):
        return node.end_mark.line if getattr(node, "flow_style", False) or node.end_mark.column else node.end_mark.line - 1
    last = children[-1]
    return _last_line_of(last[1] if isinstance(last, tuple) else last)
