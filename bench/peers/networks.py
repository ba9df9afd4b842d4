"""Ten networks of torchvision, each computed by Tutti (`kind: auto` over its files) and by each library in one process;
then all ten as one ensemble. Interleaved, on one and two cores, in batches of 1 and 8.

    networks.py --driver build/release/bin/tutti-bench-peers-driver --json rows.json

Every contestant is a separate process, and idles while another runs (ABCABC). Each tries two forms before the rounds and
keeps the faster: `whole`, one batch after another with all cores; `parallel`, a batch (of an ensemble: a member) on each
core at the same time. Of Tutti these are `threads` and `replicas` (of an ensemble: all members side by side). Weights
and images are random. The rows are those of bench/rows.hpp, one JSON object per line. `scripts/bench-networks` builds
what it needs and calls it; the first run exports the networks, which takes minutes (`pt2`: half an hour).

`--serve NAME` starts the process of a contestant."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from kernels import kept_form
from libraries import LIBRARIES
from protocol import Child, ContestantFailed, private_stdout, serve
from served import (Entry, add_common, certificate, check_common, close_all, environment, measure_rounds, ratios_of)
from tables import TUTTI, Row, append_rows, figure_line, reference_of, table
from torchvision_networks import GIGA_MACS, NAMES

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
FORMATS = ("pt", "onnx", "pt2")
CLASSES = 1000
AIM_EACH, AIM_MEAN, AIM_ENSEMBLE = 0.95, 0.98, 0.98  # the fastest library to Tutti
ENSEMBLE = "all ten"
DEADLINE = 1800.0  # seconds for one answer
FORM_RUNS = 3


def parse(arguments: list[str]) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="networks.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME",
                        help=f"of {', '.join(NAMES)} (all)")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2] if cores > 1 else [1], metavar="N",
                        help="(%(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], metavar="N", help="(%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (%(default)s)")
    parser.add_argument("--images", type=int, default=0, help="per run; 0: as many as take about a second")
    parser.add_argument("--side", type=int, default=224, help="height and width of the images (%(default)s)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=["pt", "onnx"],
                        help="the files that are exported, and with them the contestants (%(default)s)")
    parser.add_argument("--no-ensemble", action="store_true", help="leave the ensemble of all networks out")
    add_common(parser, TREE / "build" / "peers" / "networks")
    parser.add_argument("--serve", choices=LIBRARIES, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    check_common(parser, options, ("cores", "batches", "repeats", "side"))
    if options.images < 0:
        parser.error(f"--images must be at least 1, or 0 for as many as take about a second, not {options.images}")
    for number in options.cores:
        if number > cores:
            parser.error(f"--cores {number}: {cores} can be used here")
    return options


def image_count(options: argparse.Namespace, networks: list[str]) -> int:
    """Per run: a multiple of 16, so that batches of 8 occupy two cores."""
    if options.images:
        return int(options.images)
    seconds = sum(GIGA_MACS[name] for name in networks) * (options.side / 224) ** 2 / 40  # of one image, about
    return max(16, min(256, round(1 / seconds / 16) * 16))


# ---- files ---------------------------------------------------------------------------------------------------------

def network_file(options: argparse.Namespace, name: str, format: str) -> Path:
    return Path(options.folder) / f"{name}-{options.side}.{format}"


def images_file(options: argparse.Namespace, count: int) -> Path:
    return Path(options.folder) / f"images-{count}x{options.side}.f32"


def make_data(options: argparse.Namespace) -> None:
    """Exports the networks, unless they are there already; the exporter writes only files that agree with the network."""
    options.folder.mkdir(parents=True, exist_ok=True)
    variables = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(TREE / "python"), str(HERE), *sys.path])}
    for name in options.networks:
        for format in options.formats:
            file = network_file(options, name, format)
            if file.exists():
                continue
            print(f"exporting {file.name}", flush=True)
            words = [sys.executable, "-B", "-m", "tutti.export", "model", f"torchvision_networks:{name}", "--shape",
                     f"3,{options.side},{options.side}", "--output", str(file), "--no-input"]
            ended = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                print(f"left out: {ended.stderr.strip()}", flush=True)
        if not any(network_file(options, name, format).exists() for format in options.formats):
            raise SystemExit(f"networks.py: {name} could not be exported")


def make_images(options: argparse.Namespace, count: int) -> None:
    import numpy

    if not images_file(options, count).exists():
        images = numpy.random.default_rng(count).standard_normal((count, 3, options.side, options.side), numpy.float32)
        partial = images_file(options, count).with_suffix(".partial")
        images.tofile(partial)
        partial.rename(images_file(options, count))


def spec_text(options: argparse.Namespace, networks: list[str], cores: int, batch: int, form: str) -> str:
    """For Tutti: `threads` or `replicas` of one network; of several, members side by side in both forms."""
    lines = ["members:"]
    for name in networks:
        files = [str(file) for format in options.formats if (file := network_file(options, name, format)).exists()]
        lines.append(f"  - {{name: {name}, model: {{kind: auto, files: {files}}}}}")
    if form == "parallel" and len(networks) == 1 and cores > 1:
        lines.append(f"workers: [{{members: [{networks[0]}], replicas: {cores}}}]")
    threads = cores if form == "whole" else 1
    lines += ["assignment: cpu", f"threads: {threads}", "combine: {rule: mean, over: logits}",
              f"input: {{shape: [3, {options.side}, {options.side}]}}", f"batch_images: {batch}", f"segment_images: {batch}"]
    return "\n".join(lines) + "\n"


# ---- a library in one process --------------------------------------------------------------------------------------

def computed_by(library: str, files: list[Path], cores: int, form: str) -> Callable[[Any, int, Any], None]:
    """Images, batch, and where the logits [networks, images, classes] go."""
    make = LIBRARIES[library].open
    if form == "whole":
        models = [make(file, cores) for file in files]

        def whole(images: Any, batch: int, logits: Any) -> None:
            for model, into in zip(models, logits):
                for begin in range(0, len(images), batch):
                    into[begin:begin + batch] = model(images[begin:begin + batch])

        return whole
    if len(files) > 1:  # a network on each core
        models = [make(file, 1) for file in files]
        pool = ThreadPoolExecutor(cores, initializer=LIBRARIES[library].one_thread)

        def side_by_side(images: Any, batch: int, logits: Any) -> None:
            def all_of(number: int) -> None:
                for begin in range(0, len(images), batch):
                    logits[number, begin:begin + batch] = models[number](images[begin:begin + batch])

            list(pool.map(all_of, range(len(models))))

        return side_by_side
    copies = [make(files[0], 1) for _ in range(cores)]  # a batch on each core
    mine = threading.local()

    def take_one() -> None:
        LIBRARIES[library].one_thread()
        mine.model = copies.pop()

    pool = ThreadPoolExecutor(cores, initializer=take_one)

    def batches(images: Any, batch: int, logits: Any) -> None:
        def one(begin: int) -> None:
            logits[0, begin:begin + batch] = mine.model(images[begin:begin + batch])

        list(pool.map(one, range(0, len(images), batch)))

    return batches


def serve_library(options: argparse.Namespace) -> None:
    """Speaks protocol.py until its input ends."""
    out = private_stdout()
    import numpy

    cores, count = options.cores[0], options.images
    images = numpy.fromfile(images_file(options, count), numpy.float32).reshape(-1, 3, options.side, options.side)
    logits = numpy.zeros((len(options.files), count, CLASSES), numpy.float32)
    mean = logits[0]
    compute: Callable[[Any, int, Any], None] = lambda images, batch, logits: None
    size = 1

    def run() -> float:
        nonlocal mean
        begin = time.perf_counter()
        compute(images, size, logits)
        mean = logits.mean(axis=0)
        return time.perf_counter() - begin

    def prepare(form: str, batch: int) -> None:
        nonlocal compute, size
        size = batch
        compute = computed_by(options.serve, options.files, cores, form)
        for _ in range(LIBRARIES[options.serve].warm_runs):
            compute(images[:batch * cores], batch, logits[:, :batch * cores])

    serve(out, prepare, run, lambda file: mean.astype(numpy.float32).tofile(file))


# ---- measuring -----------------------------------------------------------------------------------------------------

class Run:
    """Some networks, cores and a batch: what all contestants compute."""

    def __init__(self, options: argparse.Namespace, networks: list[str], cores: int, batch: int, cache: Path):
        self.options, self.networks, self.cores, self.batch, self.cache = options, networks, cores, batch, cache
        self.count = image_count(options, networks)

    def command(self, name: str, form: str) -> list[str]:
        options = self.options
        pinned = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[:self.cores]))]
        if name == TUTTI:
            spec = options.folder / "tutti.yaml"
            spec.write_text(spec_text(options, self.networks, self.cores, self.batch, form))
            return pinned + [str(options.driver), str(spec), str(images_file(options, self.count)), "--count",
                             str(self.count), "--side", str(options.side)]
        files = [str(network_file(options, network, LIBRARIES[name].format)) for network in self.networks]
        return pinned + [sys.executable, "-B", str(HERE / "networks.py"), "--serve", name, "--folder", str(options.folder),
                         "--cores", str(self.cores), "--images", str(self.count), "--side", str(options.side), "--files",
                         *files]

    def begin(self, entry: Entry, form: str) -> None:
        """Starts it in this form, and computes once. Raises ContestantFailed."""
        if entry.child is None or entry.name == TUTTI:
            if entry.child:
                entry.child.close()
            variables = dict(os.environ) if entry.name == TUTTI else environment(self.cores)
            entry.child = Child(self.command(entry.name, form), variables | {"XDG_CACHE_HOME": str(self.cache)},
                                self.options.folder / f"{entry.name}.log", DEADLINE)
        if entry.name != TUTTI:
            entry.child.ask("prepare", {"form": form, "batch": self.batch}, "prepared")
        entry.child.ask("run", {}, "ran")  # warm, as all will be

    def best_form(self, entry: Entry) -> None:
        """Starts it in the form whose fastest run of FORM_RUNS is the faster one."""
        forms = ["whole", "parallel"] if self.cores > 1 else ["whole"]
        seconds: dict[str, float] = {}
        try:
            for form in forms:
                self.begin(entry, form)
                assert entry.child is not None
                if len(forms) > 1:
                    seconds[form] = min(entry.child.ask("run", {}, "ran")["seconds"] for _ in range(FORM_RUNS))
            best = min(seconds, key=seconds.__getitem__, default=forms[0])
            if best != forms[-1]:
                self.begin(entry, best)
        except ContestantFailed as error:
            entry.drop(str(error))
            return
        kept = kept_form(self.cache) if entry.name == TUTTI and len(self.networks) == 1 else ""
        self.notes[entry.name] = ", ".join(part for part in (best if self.cores > 1 else "", kept) if part)

    def measure(self) -> tuple[list[Row], list[float]]:
        """The rows, and the ratios of the fastest library to Tutti, a round each."""
        options = self.options
        self.notes: dict[str, str] = {}
        libraries = [name for name, library in LIBRARIES.items()
                     if all(network_file(options, network, library.format).exists() for network in self.networks)
                     and library.format in options.formats]
        entries = [Entry(name) for name in ([TUTTI] if options.driver else []) + libraries]
        try:
            for entry in entries:
                self.best_form(entry)
            measure_rounds(entries, options.repeats, options.folder / "answer.f32")
        finally:
            close_all(entries)
        return self.rows_of(entries)

    def conditions(self, figure: str) -> dict[str, Any]:
        network = self.networks[0] if len(self.networks) == 1 else ENSEMBLE
        return {"workload": network, "cores": self.cores, "batch_images": self.batch, "images": self.count,
                "side": self.options.side, "formats": " ".join(self.options.formats), "figure": figure}

    def rows_of(self, entries: list[Entry]) -> tuple[list[Row], list[float]]:
        rows = []
        for entry in entries:
            note = ", ".join(part for part in (self.notes.get(entry.name, ""), entry.note) if part)
            rows.append(Row("networks", entry.name, self.conditions("time"), "s", [] if entry.failed else entry.seconds,
                            skipped=entry.failed, note=note))
            rows.append(Row("networks", entry.name, self.conditions("memory"), "MiB",
                            [] if entry.failed else [entry.memory_bytes / 2**20], skipped=entry.failed))
        own = [entry for entry in entries if entry.name == TUTTI]
        ratios = ratios_of(own, [entry for entry in entries if entry.name != TUTTI])
        if ratios:
            aim = AIM_ENSEMBLE if len(self.networks) > 1 else AIM_EACH
            rows.append(Row("networks", "fastest library / tutti", self.conditions("ratio"), "", ratios,
                            higher_is_better=True, aim=f">= {aim}"))
        return rows, ratios


def mean_row(options: argparse.Namespace, cores: int, batch: int, medians: list[float]) -> Row:
    """The geometric mean over the networks."""
    return Row("networks", "fastest library / tutti, geometric mean",
               {"networks": len(medians), "cores": cores, "batch_images": batch, "side": options.side,
                "formats": " ".join(options.formats), "figure": "ratio"}, "", [statistics.geometric_mean(medians)],
               higher_is_better=True, aim=f">= {AIM_MEAN}")


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.serve:
        serve_library(options)
        return 0
    options.threads = 1
    birth = certificate(options)
    make_data(options)
    failed = False

    def measured(networks: list[str], cores: int, batch: int) -> list[float]:
        nonlocal failed
        with tempfile.TemporaryDirectory(prefix="tutti-networks-") as cache:
            run = Run(options, networks, cores, batch, Path(cache))
            make_images(options, run.count)
            rows, ratios = run.measure()
        failed = failed or any(row.skipped for row in rows)
        times = [row for row in rows if row.conditions["figure"] == "time"]
        title = f"{times[0].conditions['workload'] if times else ''}, {cores} core{'s'[:cores - 1]}, batch {batch}"
        print(table(title, times, reference_of(times)), flush=True)
        for row in rows:
            if row.conditions["figure"] == "ratio":
                print(figure_line(row), flush=True)
        if options.json:
            append_rows(options.json, rows, birth)
        return ratios

    for cores in options.cores:
        for batch in options.batches:
            medians = [statistics.median(ratios) for name in options.networks if (ratios := measured([name], cores, batch))]
            if medians:
                row = mean_row(options, cores, batch, medians)
                print(figure_line(row) + "\n", flush=True)
                if options.json:
                    append_rows(options.json, [row], birth)
    if not options.no_ensemble and len(options.networks) > 1:
        measured(options.networks, max(options.cores), max(options.batches))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
