"""The ensembles that are run, how `tutti` is called, and what its results say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arrays import read_npy

if TYPE_CHECKING:
    from .checks import Findings, Place

SEGMENT = 100


def networks(names: dict[str, dict[str, Any]], weights: Path | None) -> list[dict[str, Any]]:
    """Members; those that learn take `weights`/NAME.safetensors if a folder is given."""
    members = []
    for name, model in names.items():
        learns = model["kind"] in ("small-cnn", "mlp")
        file = {"weights": str(weights / f"{name}.safetensors")} if weights and learns else {}
        members.append({"name": name, "model": {**model, **file}})
    return members


CNN: dict[str, Any] = {"kind": "small-cnn"}
MLP: dict[str, Any] = {"kind": "mlp", "layers": [64, 10]}
LEARNING = {"cnn-0": CNN, "cnn-1": CNN, "mlp": MLP}


def description(place: "Place", members: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Members over the digits of the test set. One thread each: The bits of CPU members do not depend on the others."""
    limit = {"limit": 120} if place.rehearsal else {}
    return {"members": members, "assignment": place.device, "combine": {"rule": "mean", "over": "probabilities"},
            "input": {"dataset": "digits", "split": "test", **limit}, "segment_images": SEGMENT, "batch_images": 20,
            "threads": 1, "seed": 0, "save_members": True, **more}


def training(place: "Place", weights: Path, **more: Any) -> dict[str, Any]:
    limit = {"limit": 240} if place.rehearsal else {}
    learn = {"input": {"dataset": "digits", "split": "train", **limit}, "epochs": place.scaled(8, 3), "batch_images": 16,
             "learning_rate": 0.001}
    return description(place, networks({"cnn-0": CNN, "mlp": MLP} if place.rehearsal else LEARNING, weights), train=learn,
                       **more)


def write(place: "Place", name: str, what: dict[str, Any]) -> Path:
    """As a file, `name`.yaml. JSON is YAML."""
    file = place.scratch / f"{name}.yaml"
    file.write_text(json.dumps(what, indent=1))
    return file


class Run:
    """A finished `tutti run` or `tutti train`, by its run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report: dict[str, Any] = json.loads((folder / "report.json").read_text())

    def values(self, member: str = "") -> Any:
        return read_npy(self._file(member))

    def bytes_of(self, member: str = "") -> bytes:
        return self._file(member).read_bytes()

    def member(self, name: str) -> dict[str, Any]:
        return next(dict(member) for member in self.report["members"] if member["name"] == name)

    def names(self) -> list[str]:
        return [member["name"] for member in self.report["members"]]

    def same_bytes(self, other: "Run") -> list[str]:
        """The arrays that differ; empty: none."""
        return [name or "the ensemble" for name in ["", *self.names()] if self.bytes_of(name) != other.bytes_of(name)]

    def _file(self, member: str) -> Path:
        return self.folder / "members" / f"{member}.npy" if member else self.folder / "predictions.npy"


def command_for(place: "Place", verb: str, name: str, what: dict[str, Any]) -> list[Any]:
    return [place.tutti, verb, write(place, name, {**what, "output": str(place.scratch / name)})]


def tutti(found: "Findings", place: "Place", verb: str, name: str, what: dict[str, Any]) -> Run:
    """Runs a description into the folder `name`. The step ends if that fails."""
    outcome = found.run(command_for(place, verb, name, what), place.env)
    found.need(f"tutti {verb} {name}", outcome.code == 0, last_words(outcome.output))
    return Run(place.scratch / name)


def last_words(output: str) -> str:
    """The error that a command ended with, else the end of what it printed."""
    begins = [found.start() for found in re.finditer(r"^tutti[a-z-]*: ", output, re.MULTILINE)]
    return (output[begins[-1]:] if begins else output[-300:]).strip()[:600]
