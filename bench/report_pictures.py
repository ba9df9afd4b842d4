"""The report's pictures, as SVG inside a page: without addresses, its text in the page's colour. Picture.alt describes
each picture in words. Draws with matplotlib."""

import io
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import matplotlib
from bench_rows import Row, number
from report_trace import Trace

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

INK = "#102030"  # replaced by the page's colour of text
COLOURS = {"wait": "#9a9a9a", "infer": "#2f9e58", "train": "#2f7fd0", "write": "#e08a1e", "fill": "#9b62c9",
           "combine": "#d9504f"}
OTHERS = ("#17a2a2", "#b8862b", "#c95fa0", "#7a8b2f", "#5a6fd6", "#a0622d")
MAX_PANELS = 6
MAX_SPANS = 1500
LONGEST_LABEL = 60

pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tutti", "font.size": 9, "font.family": "sans-serif",
                        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
                        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none"})
for part in ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"):
    pyplot.rcParams[part] = INK


@dataclass
class Picture:
    svg: str
    alt: str
    caption: str


def _svg_of(figure: "pyplot.Figure", name: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    text = out.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", text)
    # There are several pictures in one page, so each has separate names.
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, 1), 1)
    return text.replace(INK, "currentColor").strip()


def _grouped(rows: Iterable[Row], key: Callable[[Row], object]) -> dict:
    groups: dict = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _varying(rows: list[Row]) -> list[str]:
    """The conditions that tell these rows apart."""
    names = sorted({name for row in rows for name in row.conditions})
    return [name for name in names if len({repr(row.conditions.get(name)) for row in rows}) > 1]


def _label(row: Row, varying: list[str]) -> str:
    told = ", ".join(f"{name} {row.conditions[name]}" for name in varying if name in row.conditions)
    return _short(f"{row.name} ({told})" if told else row.name)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else text[:LONGEST_LABEL - 1] + "…"


def _axes(panels: int, height: float) -> tuple:
    figure, axes = pyplot.subplots(panels, 1, figsize=(8, height), squeeze=False, layout="constrained")
    return figure, [line[0] for line in axes]


def spread(rows: list[Row], name: str, title: str) -> Picture | None:
    """Every sample of every row, and their medians: one panel per unit. Nothing if no row was measured."""
    measured = [row for row in rows if row.samples]
    if not measured:
        return None
    groups = _grouped(measured, lambda row: row.unit)
    varying = _varying(measured)
    figure, axes = _axes(len(groups), 0.6 * len(groups) + 0.34 * len(measured) + 0.6)
    for axis, (unit, group) in zip(axes, groups.items()):
        for place, row in enumerate(group):
            colour = OTHERS[place % len(OTHERS)]
            axis.plot(row.samples, [place] * len(row.samples), "o", color=colour, alpha=0.5, markersize=5)
            axis.plot([row.median], [place], "|", color=colour, markersize=18, markeredgewidth=2.5)
        axis.set_yticks(range(len(group)), [_label(row, varying) for row in group])
        axis.set_ylim(len(group) - 0.4, -0.6)
        axis.set_xlim(left=0)
        axis.set_xlabel(unit or "ratio")
        axis.grid(axis="x", color=INK, alpha=0.15)
    said = "; ".join(f"{_label(row, varying)} {number(row.median)} {row.unit}".rstrip() for row in measured)
    return Picture(_svg_of(figure, name), f"{title}. Medians: {said}.",
                   f"{title}: each dot is a sample, the stroke is the median.")


def _series(rows: list[Row], condition: str) -> dict:
    """Panels of lines: {(unit, other conditions): {name: [row, ...] ordered by the condition}}, of two points each."""
    panels: dict = {}
    for row in rows:
        value = row.conditions.get(condition)
        if not row.samples or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        others = ", ".join(f"{key} {row.conditions[key]}" for key in sorted(row.conditions) if key != condition)
        panels.setdefault((row.unit, others), {}).setdefault(row.name, []).append(row)
    for panel in panels.values():
        for line in panel.values():
            line.sort(key=lambda row: row.conditions[condition])
    return {key: panel for key, panel in panels.items() if any(len(line) > 1 for line in panel.values())}


def lines(rows: list[Row], condition: str, name: str, title: str) -> Picture | None:
    """Medians, with minima and maxima, over a condition. Nothing if no figure was measured at two values of it."""
    panels = _series(rows, condition)
    if not panels:
        return None
    shown = dict(list(panels.items())[:MAX_PANELS])
    figure, axes = _axes(len(shown), 2.7 * len(shown))
    said = []
    for axis, ((unit, others), panel) in zip(axes, shown.items()):
        for place, (line_name, line) in enumerate(panel.items()):
            at = [row.conditions[condition] for row in line]
            medians = [row.median for row in line]
            reach = [[row.median - min(row.samples) for row in line], [max(row.samples) - row.median for row in line]]
            axis.errorbar(at, medians, yerr=reach, marker="o", capsize=3, label=_short(line_name),
                          color=OTHERS[place % len(OTHERS)], linestyle=("-", "--", ":")[place // len(OTHERS) % 3])
            points = ", ".join(f"{number(value)} {unit} at {x}" for x, value in zip(at, medians))
            said.append(f"{line_name}{f' ({others})' if others else ''}: {points}")
        axis.set(xlabel=condition.replace("_", " "), ylabel=unit or "ratio", title=_short(others))
        axis.set_ylim(bottom=0)
        axis.grid(color=INK, alpha=0.15)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    left_out = len(panels) - len(shown)
    rest = f" {left_out} more combinations of conditions are left out here; the table holds them." if left_out else ""
    return Picture(_svg_of(figure, name), f"{title}. {'; '.join(said)}.",
                   f"{title}: medians, with the smallest and the largest sample.{rest}")


def _window(trace: Trace) -> tuple[float, float]:
    """The middle of the trace if it is too long to be shown as a whole."""
    spans = sorted((span.begin, span.begin + span.duration) for lane in trace.lanes for span in lane.spans)
    first = max(0, (len(spans) - MAX_SPANS) // 2)
    part = spans[first:first + MAX_SPANS]
    return part[0][0], max(end for _, end in part)


def _draw_lanes(axis: "pyplot.Axes", trace: Trace, begin: float, end: float) -> None:
    named = set()
    colours = dict(COLOURS)
    for name in trace.span_names():
        colours.setdefault(name, OTHERS[len(colours) % len(OTHERS)])
    for place, lane in enumerate(trace.lanes):
        for name in trace.span_names():
            bars = [(span.begin / 1e3, span.duration / 1e3) for span in lane.spans
                    if span.name == name and span.begin < end and span.begin + span.duration > begin]
            if not bars:
                continue
            axis.broken_barh(bars, (place - 0.4, 0.8), color=colours[name], linewidth=0,
                             label="_" if name in named else name)
            named.add(name)
    axis.set_yticks(range(len(trace.lanes)), [_short(lane.name) for lane in trace.lanes])
    axis.set_ylim(len(trace.lanes) - 0.4, -0.6)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_counters(axis: "pyplot.Axes", trace: Trace) -> None:
    for place, (name, points) in enumerate(trace.counters.items()):
        axis.step([time / 1e3 for time, _ in points], [value for _, value in points], where="post", label=_short(name),
                  color=OTHERS[place % len(OTHERS)])
    axis.set_ylim(bottom=0)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def timeline(trace: Trace) -> Picture:
    """A lane per thread, and the counters below."""
    begin, end = _window(trace)
    panels = 2 if trace.counters else 1
    height = 0.3 * len(trace.lanes) + 1
    figure, all_axes = pyplot.subplots(panels, 1, figsize=(10, height + 1.6 * (panels - 1)), squeeze=False, sharex=True,
                                       layout="constrained", height_ratios=[height, 1.4][:panels])
    axes = [line[0] for line in all_axes]
    _draw_lanes(axes[0], trace, begin, end)
    if trace.counters:
        _draw_counters(axes[1], trace)
    axes[0].set_xlim(begin / 1e3, max(end, math.nextafter(begin, math.inf)) / 1e3)
    axes[-1].set_xlabel("ms")
    said = "; ".join(f"{lane.name}: " + ", ".join(f"{name} {number(lane.microseconds(name) / 1e3)} ms"
                     for name in trace.span_names() if lane.microseconds(name) > 0) for lane in trace.lanes)
    shown = sum(begin <= span.begin < end for lane in trace.lanes for span in lane.spans)
    part = "" if shown >= trace.span_count() else f", a part from its middle: {shown} of {trace.span_count()} spans"
    return Picture(_svg_of(figure, "timeline"), f"What workers and coordinator did. In all: {said}.",
                   f"What workers and coordinator did, segment by segment{part}.")
