"""Reads a Chrome trace, as far as the report needs it: complete events ("X") in lanes, counters ("C"), names ("M").
Draws nothing."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from bench_rows import is_number


class MalformedTrace(Exception):
    """What is wrong with a trace, for the user."""


@dataclass
class Span:
    """Times in microseconds since the trace began."""

    name: str
    begin: float
    duration: float


@dataclass
class Lane:
    """The spans of one thread."""

    name: str
    spans: list[Span] = field(default_factory=list)

    def microseconds(self, name: str) -> float:
        return sum(span.duration for span in self.spans if span.name == name)


@dataclass
class Trace:
    lanes: list[Lane]
    counters: dict[str, list[tuple[float, float]]]  # (time, value), by time

    def span_names(self) -> list[str]:
        return sorted({span.name for lane in self.lanes for span in lane.spans})

    def span_count(self) -> int:
        return sum(len(lane.spans) for lane in self.lanes)


def _number(event: dict, key: str, place: str) -> float:
    if not is_number(event.get(key)):
        raise MalformedTrace(f"{place}: '{key}' must be a number, found {json.dumps(event.get(key))}")
    return float(event[key])


def _events_of(file: Path) -> list:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise MalformedTrace(f"could not read '{file}': {error.strerror}") from None
    except ValueError as error:
        raise MalformedTrace(f"'{file}' is not a Chrome trace: {error}") from None
    events = content.get("traceEvents") if isinstance(content, dict) else content
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise MalformedTrace(f"'{file}' is not a Chrome trace: it has no list of events")
    return events


class _Reader:
    def __init__(self) -> None:
        self.processes: dict[object, str] = {}
        self.threads: dict[tuple, str] = {}
        self.spans: dict[tuple, list[Span]] = {}
        self.counters: dict[tuple, list[tuple[float, float]]] = {}

    def take(self, event: dict, place: str) -> None:
        lane = (event.get("pid"), event.get("tid"))
        match event.get("ph"):
            case "X":
                span = Span(str(event.get("name")), _number(event, "ts", place), _number(event, "dur", place))
                self.spans.setdefault(lane, []).append(span)
            case "C":
                self.take_counter(event, place)
            case "M":
                self.take_name(event, lane)

    def take_counter(self, event: dict, place: str) -> None:
        values = event.get("args")
        if not isinstance(values, dict):
            raise MalformedTrace(f"{place}: a counter without 'args'")
        for series in values:
            key = (event.get("pid"), str(event.get("name")), series)
            self.counters.setdefault(key, []).append((_number(event, "ts", place), _number(values, series, place)))

    def take_name(self, event: dict, lane: tuple) -> None:
        arguments = event.get("args")
        name = str(arguments.get("name", "")) if isinstance(arguments, dict) else ""
        if event.get("name") == "process_name":
            self.processes[lane[0]] = name
        elif event.get("name") == "thread_name":
            self.threads[lane] = name

    def lane_name(self, lane: tuple) -> str:
        process = self.processes.get(lane[0], f"process {lane[0]}")
        thread = self.threads.get(lane)
        return process if thread in (None, "", process) else f"{process}: {thread}"

    def counter_name(self, key: tuple) -> str:
        pid, name, series = key
        parts = [self.processes[pid]] if pid in self.processes else []
        return ": ".join(parts + ([name] if series in ("value", name) else [name, series]))

    def trace(self) -> Trace:
        begin = min((span.begin for spans in self.spans.values() for span in spans), default=0.0)
        lanes = []
        for key, spans in self.spans.items():
            moved = [Span(span.name, span.begin - begin, span.duration) for span in spans]
            lanes.append(Lane(self.lane_name(key), sorted(moved, key=lambda span: span.begin)))
        counters = {self.counter_name(key): sorted((time - begin, value) for time, value in points)
                    for key, points in self.counters.items()}
        return Trace(sorted(lanes, key=lambda lane: lane.name), counters)


def read_trace(file: Path) -> Trace:
    """Raises MalformedTrace, also for a trace without any complete event."""
    reader = _Reader()
    for number, event in enumerate(_events_of(file)):
        reader.take(event, f"{file}: event {number}")
    if not reader.spans:
        raise MalformedTrace(f"'{file}' has no complete event (\"ph\": \"X\"), so there is no timeline")
    return reader.trace()
