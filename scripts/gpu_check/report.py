"""The result as JSON, and as a page for people."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(result: dict[str, Any], folder: Path) -> None:
    """Both files appear whole or not at all: a run that is killed leaves the report of the steps before."""
    for name, text in (("gpu-check.json", json.dumps(result, indent=1) + "\n"), ("gpu-check.md", page(result))):
        partial = folder / f".{name}"
        partial.write_text(text)
        os.replace(partial, folder / name)


def page(result: dict[str, Any]) -> str:
    lines = [title(result), "", f"Started {result['started']}; {result['seconds']:.0f} s; members on "
             f"`{result['device']}`; build {result['pack']['build']} of commit {result['pack']['commit'] or 'unknown'}.", ""]
    if result["rehearsal"]:
        lines += ["This was a rehearsal on the CPU. It shows nothing about a GPU.", ""]
    lines += machine_table(result["machine"]) + step_table(result["steps"])
    for step in result["steps"]:
        lines += section(step)
    return "\n".join(lines).rstrip() + "\n"


def title(result: dict[str, Any]) -> str:
    gpus = result["machine"].get("gpus") or []
    return f"# Tutti on {gpus[0]['name']}" if gpus else "# Tutti, checked without a GPU"


def cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows] + [""]


def machine_table(machine: dict[str, Any]) -> list[str]:
    rows = [[key, value] for key, value in machine.items() if key not in ("gpus", "torch")]
    for number, gpu in enumerate(machine.get("gpus") or []):
        rows += [[f"GPU {number}: {key}", value] for key, value in gpu.items()]
    rows += [[f"torch: {key}", value] for key, value in (machine.get("torch") or {}).items()]
    return table(["machine", ""], rows) if rows else []


def step_table(steps: list[dict[str, Any]]) -> list[str]:
    rows = []
    for step in steps:
        good = sum(check["ok"] for check in step["checks"])
        rows.append([step["title"], step["status"], f"{good} of {len(step['checks'])}", str(len(step["not_shown"])),
                     f"{step['seconds']:.1f}"])
    return table(["step", "status", "checks that hold", "not shown", "seconds"], rows)


def section(step: dict[str, Any]) -> list[str]:
    lines = [f"## {step['title']}", ""]
    if step["detail"]:
        lines += [f"{step['status']}: {step['detail']}", ""]
    rows = [["yes" if check["ok"] else "**no**", check["name"], check["detail"]] for check in step["checks"]]
    rows += [["not shown", skipped["name"], skipped["reason"]] for skipped in step["not_shown"]]
    if rows:
        lines += table(["holds", "check", "detail"], rows)
    figures = dict(step["figures"])
    measured = figures.pop("rows", [])
    if measured:
        lines += table(["batch", "strategy", "median", "MAD", "unit", "note"],
                       [[row["batch"], row["name"], number(row["median"]), number(row["mad"]), row["unit"] or "",
                         row["note"] or ""] for row in measured])
    if figures and step["name"] != "machine":
        lines += table(["figure", "value"], [[key, value] for key, value in figures.items()])
    if step["status"] in ("failed", "timed out") and step["output_tail"]:
        lines += ["````", step["output_tail"].rstrip(), "````", ""]
    return lines


def number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""
