"""Four `small-cnn` members with `backend: auto`, against ONNX Runtime and OpenVINO as an expert uses them in one
process: a session and a thread for each member, one thread inside. Interleaved, in batches of 1, 4, 20 and 50.

    kernels.py --driver build/release/bin/tutti-bench-peers-driver --json rows.json

Every contestant is a separate process, and idles while another runs (ABCABC). All compute the same networks, from the
same random weights: the mean of the members' logits, from images in memory to a result in memory. The rows are those
of bench/rows.hpp, one JSON object per line. `scripts/bench-kernels` builds what it needs and calls it.

`--serve NAME` starts the process of a contestant."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from libraries import LIBRARIES as KNOWN
from protocol import Child, ContestantFailed, private_stdout, serve
from served import Entry, add_common, certificate, check_common, close_all, environment, measure_rounds, ratios_of
from tables import TUTTI, Row, append_rows, figure_line, reference_of, table

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
LIBRARIES = ("onnxruntime", "openvino")
AIM = 0.97  # of the faster library: the price of isolation
READY_AIMS = {"empty": 1.5, "full": 0.5}  # seconds, by what the cache of choices holds
SIDE, CLASSES = 32, 10
DEADLINE = 600.0  # seconds for one answer
# Name, sizes, and what follows: the layers of `small-cnn`.
LAYERS = (("conv1", (32, 3, 3, 3), "relu pool"), ("conv2", (64, 32, 3, 3), "relu pool"),
          ("conv3", (64, 64, 3, 3), "relu"), ("fc1", (64, 1024), "relu"), ("fc2", (CLASSES, 64), ""))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kernels.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--members", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--images", type=int, default=6000, help="per run (%(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 20, 50], metavar="N", help="(%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), help="the libraries (both)")
    parser.add_argument("--python", default=sys.executable,
                        help="with numpy, safetensors and the libraries (%(default)s)")
    add_common(parser, TREE / "build" / "peers" / "kernels")
    parser.add_argument("--serve", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    check_common(parser, options, ("members", "images", "repeats"))
    for batch in options.batches:
        if not 1 <= batch <= options.images:
            parser.error(f"--batches must be from 1 to {options.images}, the number of images, not {batch}")
    options.threads = 1
    return options


# ---- weights and images --------------------------------------------------------------------------------------------

def weights_file(options: argparse.Namespace, member: int) -> Path:
    return options.folder / f"small-cnn-{member}.safetensors"


def images_file(options: argparse.Namespace) -> Path:
    return options.folder / f"images-{options.images}.f32"


def make_data(options: argparse.Namespace) -> None:
    """Makes them again: that takes less time than finding out whether they are complete."""
    import numpy
    from safetensors.numpy import save_file

    options.folder.mkdir(parents=True, exist_ok=True)
    for member in range(options.members):
        generator = numpy.random.default_rng(member)
        tensors = {}
        for name, sizes, _ in LAYERS:
            bound = float(numpy.prod(sizes[1:])) ** -0.5
            tensors[f"{name}.weight"] = generator.uniform(-bound, bound, sizes).astype(numpy.float32)
            tensors[f"{name}.bias"] = generator.uniform(-bound, bound, sizes[:1]).astype(numpy.float32)
        save_file(tensors, weights_file(options, member))
    images = numpy.random.default_rng(1000).uniform(0, 1, (options.images, 3, SIDE, SIDE)).astype(numpy.float32)
    images.tofile(images_file(options))


def spec_text(options: argparse.Namespace, batch: int) -> str:
    lines = ["members:"]
    lines += [f"  - {{name: m{member}, model: {{kind: small-cnn, classes: {CLASSES}, backend: auto, "
              f"weights: '{weights_file(options, member)}'}}}}" for member in range(options.members)]
    lines += ["assignment: cpu", "combine: {rule: mean, over: logits}", f"input: {{shape: [3, {SIDE}, {SIDE}]}}",
              f"batch_images: {batch}"]
    return "\n".join(lines) + "\n"


# ---- ONNX: the few messages of its format that such a network needs ------------------------------------------------

def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Numbers of fields, each with a whole number, a text, or another message."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        content = value.encode() if isinstance(value, str) else value
        out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def node(operation: str, inputs: list[str], output: str, **attributes: int | list[int]) -> bytes:
    made: list[tuple[int, int | str | bytes]] = [(1, name) for name in inputs]
    made += [(2, output), (4, operation)]
    for name, value in attributes.items():
        whole = isinstance(value, int)
        values = [(3, value)] if whole else [(8, one) for one in value]
        made.append((5, message((1, name), *values, (20, 2 if whole else 7))))
    return message(*made)


def port(name: str, sizes: list[int]) -> bytes:
    shape = message((1, message((2, "samples"))), *((1, message((1, size))) for size in sizes))
    return message((1, name), (2, message((1, message((1, 1), (2, shape))))))


def onnx_of(tensors: dict[str, Any]) -> bytes:
    """The network with these weights: from `samples` to `logits`."""
    fields: list[tuple[int, int | str | bytes]] = []
    for name, values in tensors.items():
        dims = [(1, size) for size in values.shape]
        fields.append((5, message(*dims, (2, 1), (8, name), (9, values.astype("<f4").tobytes()))))
    last = "samples"

    def add(operation: str, inputs: list[str], output: str, **attributes: int | list[int]) -> None:
        nonlocal last
        fields.append((1, node(operation, [last, *inputs], output, **attributes)))
        last = output

    for name, sizes, after in LAYERS:
        weights = [f"{name}.weight", f"{name}.bias"]
        if name == "fc1":
            add("Flatten", [], "flat", axis=1)
        if len(sizes) == 4:
            add("Conv", weights, f"{name}.y")
        else:
            add("Gemm", weights, f"{name}.y" if after else "logits", transB=1)
        if "relu" in after:
            add("Relu", [], f"{name}.relu")
        if "pool" in after:
            add("MaxPool", [], f"{name}.pool", kernel_shape=[2, 2], strides=[2, 2])
    fields += [(2, "small-cnn"), (11, port("samples", [3, SIDE, SIDE])), (12, port("logits", [CLASSES]))]
    return message((1, 7), (2, "tutti"), (7, message(*fields)), (8, message((2, 13))))


# ---- a library in one process --------------------------------------------------------------------------------------

def serve_library(options: argparse.Namespace) -> None:
    """Speaks protocol.py until its input ends."""
    out = private_stdout()
    import numpy
    from safetensors.numpy import load_file

    models = [KNOWN[options.serve].open(onnx_of(load_file(weights_file(options, member))), 1)
              for member in range(options.members)]
    images = numpy.fromfile(images_file(options), numpy.float32).reshape(-1, 3, SIDE, SIDE)
    logits = numpy.zeros((options.members, len(images), CLASSES), numpy.float32)
    mean = logits[0]
    size = 1
    threads = ThreadPoolExecutor(options.members)

    def all_of(member: int) -> None:
        for begin in range(0, len(images), size):
            logits[member, begin:begin + size] = models[member](images[begin:begin + size])

    def run() -> float:
        nonlocal mean
        begin = time.perf_counter()
        list(threads.map(all_of, range(options.members)))
        mean = logits.mean(axis=0)
        return time.perf_counter() - begin

    def prepare(form: str, batch: int) -> None:
        nonlocal size
        size = batch

    serve(out, prepare, run, lambda file: mean.astype(numpy.float32).tofile(file))


# ---- measuring -----------------------------------------------------------------------------------------------------

def begin(entry: Entry, options: argparse.Namespace, batch: int, cache: Path) -> None:
    variables = environment(options.threads) | {"XDG_CACHE_HOME": str(cache)}
    if entry.name == TUTTI:
        spec = options.folder / f"tutti-{batch}.yaml"
        spec.write_text(spec_text(options, batch))
        words = [str(options.driver), str(spec), str(images_file(options)), "--count", str(options.images)]
        variables = dict(os.environ) | {"XDG_CACHE_HOME": str(cache)}
    else:
        words = [options.python, "-B", str(HERE / "kernels.py"), "--serve", entry.name, "--folder", str(options.folder),
                 "--members", str(options.members), "--images", str(options.images), "--batches", "1"]
    start = time.monotonic()
    entry.child = Child(words, variables, options.folder / f"{entry.name}.log", DEADLINE)
    entry.ready_seconds = time.monotonic() - start


def kept_form(cache: Path) -> str:
    """The form that Tutti chose, "small-cnn by openvino"; empty if it kept nothing, because one could not be started."""
    for file in (cache / "tutti" / "choices").glob("*.json"):
        for form in json.loads(file.read_text())["members"][0]:
            if not form["reason"]:
                return str(form["model"])
    return ""


def ready(entry: Entry, options: argparse.Namespace, batch: int, cache: Path) -> dict[str, float]:
    """Starts it, Tutti twice: with an empty cache of choices, and with a full one. The seconds of each."""
    seconds: dict[str, float] = {}
    try:
        for state in ("empty", "full") if entry.name == TUTTI else ("",):
            if entry.child:
                entry.child.close()
            begin(entry, options, batch, cache)
            if state == "full" and not kept_form(cache):
                continue  # it has searched again
            seconds[state] = entry.ready_seconds
        assert entry.child is not None
        if entry.name != TUTTI:
            entry.child.ask("prepare", {"form": "", "batch": batch}, "prepared")
        entry.child.ask("run", {}, "ran")  # warm, as all will be
    except ContestantFailed as error:
        entry.drop(str(error))
    return seconds


def measure(options: argparse.Namespace, batch: int) -> list[Row]:
    """The rows of one batch."""
    entries = [Entry(name) for name in ([TUTTI] if options.driver else []) + options.only]
    starts: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="tutti-kernels-") as cache:
        try:
            for entry in entries:
                starts[entry.name] = ready(entry, options, batch, Path(cache))
            measure_rounds(entries, options.repeats, options.folder / "answer.f32")
            for entry in entries:
                if entry.name == TUTTI:
                    entry.note = kept_form(Path(cache)) or "a form could not be started, so no choice was kept"
        finally:
            close_all(entries)
    return rows_of(entries, starts, options, batch)


def rows_of(entries: list[Entry], starts: dict[str, dict[str, float]], options: argparse.Namespace,
            batch: int) -> list[Row]:
    conditions = {"workload": "small-cnn, backend auto", "members": options.members, "images": options.images,
                  "batch_images": batch}
    rows = []
    for entry in entries:
        def row(figure: str, unit: str, samples: list[float], **more: Any) -> Row:
            return Row("kernels", entry.name, conditions | {"figure": figure}, unit, [] if entry.failed else samples,
                       skipped=entry.failed, **more)

        rows.append(row("time", "s", entry.seconds, note=entry.note))
        for state, seconds in starts.get(entry.name, {}).items():
            figure = f"start to ready, {state} cache" if state else "start to ready"
            rows.append(row(figure, "s", [seconds], aim=f"<= {READY_AIMS[state]}" if state else ""))
        rows.append(row("memory", "MiB", [entry.memory_bytes / 2**20]))
    ratios = ratios_of(entries[:1], entries[1:]) if entries[0].name == TUTTI else []
    if ratios:
        rows.append(Row("kernels", "faster library / tutti", conditions | {"figure": "ratio"}, "", ratios,
                        higher_is_better=True, aim=f">= {AIM}"))
    return rows


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.serve:
        serve_library(options)
        return 0
    birth = certificate(options)
    make_data(options)
    failed = False
    for batch in options.batches:
        rows = measure(options, batch)
        failed = failed or any(row.skipped for row in rows)
        times = [row for row in rows if row.conditions["figure"] == "time"]
        print(table(f"time, batch {batch}", times, reference_of(times)), flush=True)
        for row in rows:
            if row.samples and row.conditions["figure"] != "time":
                print(figure_line(row))
        print(flush=True)
        if options.json:
            append_rows(options.json, rows, birth)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
