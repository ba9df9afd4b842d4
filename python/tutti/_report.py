"""What an evaluation found, for notebooks and programs. The figures are computed by the library."""

from __future__ import annotations

import html
import importlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._core import Evaluated, IncompleteSegment


@dataclass(frozen=True)
class Score:
    """A member by itself, or the members under a rule.

    Attributes
    ----------
    name : str
        Of the member, or of the rule.
    role : str
        "member" or "ensemble".
    samples : int
        That were predicted and compared.
    figures : dict of str to float
        What is known of it: "accuracy", "loss" and "calibration_error" of one class per sample; those of docs/report.md
        of masks, numbers and several labels. It can also be read as score["accuracy"].
    lists : dict of str to list
        A figure for each class or label, of masks and several labels; None where it makes no sense.
    """

    name: str
    role: str
    samples: int
    figures: dict[str, float]
    lists: dict[str, list[float | None]] = field(default_factory=dict)

    def __getitem__(self, figure: str) -> float:
        return self.figures[figure]


class Report:
    """What `Ensemble.evaluate` found. `print(report)` shows the table of `tutti evaluate`, and a notebook shows it as a
    table, too.

    Attributes
    ----------
    scores : list of Score
        The members in rank order, then the rules. `report["vote"]` is that of a member or rule by its name.
    disagreement : dict of str to float, or None
        Means over the samples of how much the members disagree: "entropy", "mutual_information", "variance", "dissent".
        Only of one class per sample.
    samples : int
        That were evaluated.
    seconds : float
        That it took.
    incomplete : list of IncompleteSegment
        Samples that lack a member; empty as a rule.
    json : dict
        Everything, as `evaluation` in the report of `tutti evaluate` (docs/report.md).
    """

    def __init__(self, found: Evaluated) -> None:
        self.json: dict[str, Any] = json.loads(found.json)
        self.incomplete: list[IncompleteSegment] = found.incomplete
        self._table = found.table
        (task,) = self.json["tasks"]
        self.samples: int = task["images"]
        self.seconds: float = task["seconds"]
        of = task["disagreement"]
        self.disagreement = of and {name: value for name, value in of.items() if name != "images"}
        self.scores = [_score_of(model, task["name"]) for model in self.json["models"]]

    def __getitem__(self, name: str) -> Score:
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(f"{name!r}; there are {', '.join(score.name for score in self.scores)}")

    def __str__(self) -> str:
        return self._table.rstrip("\n")

    def __repr__(self) -> str:
        return f"<tutti.Report of {len(self.scores)} models and rules, {self.samples} samples>"

    def _figures(self) -> list[str]:
        """In the order in which they are first known."""
        return list(dict.fromkeys(name for score in self.scores for name in score.figures))

    def _repr_html_(self) -> str:
        figures = self._figures()
        rows = ["<tr>" + "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in ("model", *figures)) + "</tr>"]
        for score in self.scores:
            name = html.escape(score.name)
            cells = [f"<b>{name}</b> (ensemble)" if score.role == "ensemble" else name]
            cells += [f"{score.figures[figure]:.4f}" if figure in score.figures else "" for figure in figures]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        words = f"{self.samples} samples"
        if self.disagreement:
            words += f"; the members disagree on {self.disagreement['dissent']:.2%} of the predictions"
        return f"<table>{''.join(rows)}</table><p>{words}</p>"

    def frame(self) -> Any:
        """A pandas.DataFrame: a row for each model and rule, by name, with its role, samples and figures as columns.

        Raises UsageError if pandas is not installed."""
        pandas = _need("pandas", "frame()")
        rows = [{"role": score.role, "samples": score.samples} | score.figures for score in self.scores]
        return pandas.DataFrame(rows, index=pandas.Index([score.name for score in self.scores], name="model"))

    def plot(self, figure: str | None = None, *, axes: Any = None) -> Any:
        """Draws a figure of all models and rules as bars, and returns the matplotlib Axes.

        Parameters
        ----------
        figure : str, optional
            "accuracy", "loss", ... Without it, the first that is known.
        axes : matplotlib.axes.Axes, optional
            Where to draw; without it, on axes of a figure of its own.

        Raises
        ------
        UsageError
            If matplotlib is not installed, or if there is no such figure.
        """
        known = self._figures()
        name = figure if figure is not None else (known or [""])[0]
        if name not in known:
            raise UsageError(f"no model has the figure {name!r}", hint=f"there are {', '.join(known) or 'none'}")
        if axes is None:
            axes = _need("matplotlib.pyplot", "plot()").subplots(layout="constrained")[1]
        drawn = [score for score in self.scores if name in score.figures]
        colours = ["tab:orange" if score.role == "ensemble" else "tab:blue" for score in drawn]
        bars = axes.bar([score.name for score in drawn], [score.figures[name] for score in drawn], color=colours)
        axes.bar_label(bars, fmt="{:.3f}")
        axes.set_ylabel(name.replace("_", " "))
        axes.set_title(f"{self.samples} samples")
        return axes


def array_of(labels: Any) -> Any:
    """Labels as the library takes them: int64 or float32, in C order. Raises UsageError."""
    import numpy

    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()  # a tensor of torch
    try:
        found = numpy.asarray(labels)
    except (TypeError, ValueError) as error:
        raise UsageError("the labels are not an array", str(error), "pass a NumPy array or a torch tensor") from None
    if found.dtype.kind in "iub":
        return numpy.ascontiguousarray(found, dtype=numpy.int64)
    if found.dtype.kind == "f":
        return numpy.ascontiguousarray(found, dtype=numpy.float32)
    raise UsageError(f"the labels are {type(labels).__name__} of {found.dtype}",
                     hint="pass classes as whole numbers from 0 on, or numbers")


def listed(rules: str | Iterable[str]) -> str:
    return rules if isinstance(rules, str) else ",".join(rules)


def _score_of(model: dict[str, Any], task: str) -> Score:
    found = model["tasks"][task]
    figures = {name: found[name] for name in ("accuracy", "loss", "calibration_error")}
    lists = {}
    for name, value in (found["scores"] or {}).items():
        if isinstance(value, list) and name != "confusion_matrix":
            lists[name] = value
        elif isinstance(value, (int, float)) and name != "compared":
            figures[name] = value
    known = {name: value for name, value in figures.items() if value is not None}
    return Score(model["name"], model["role"], found["images"], known, lists)


def _need(module: str, what: str) -> Any:
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != package:
            raise
        raise UsageError(f"{what} needs {package}, which is not installed", hint=f"pip install {package}") from None
