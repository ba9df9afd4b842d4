"""Eight CLIP towers (ViT-B/32, float32) on the same images, interleaved: FusionBench's way, torch.compile, and Tutti.

    clip_ensemble.py --driver build/release/bin/tutti-bench-peers-driver --json rows.json

Every contestant is a separate, long-lived process; they run one after the other, round by round (ABCABC), while the
others idle. A run goes from images in memory to the mean of the members' pooled features in memory. Weights are random,
which costs the same as trained ones. The rows are those of bench/rows.hpp, one JSON object per line.

Needs torch and transformers. FusionBench is not installed; its ensemble is reproduced here: the modules in eager mode
in a loop, and every tensor of their outputs stacked and averaged. `--serve NAME` starts the process of a contestant.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from protocol import Child, ContestantFailed, private_stdout, serve
from served import Entry, add_common, certificate, check_common, close_all, environment, measure_rounds
from tables import Row, append_rows, reference_of, table

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
PEERS = {"fusion-bench": "eager modules in a loop, all outputs averaged",
         "fusion-bench-device-map": "the same with device_map: cpu for each",
         "torch-compile": "torch.compile, one member after another",
         "torch-compile-frozen": "torch.compile with frozen weights"}
DEADLINE = 3600.0  # seconds for one answer; compiling eight members takes minutes


@dataclass(frozen=True)
class Shape:
    hidden: int
    intermediate: int
    layers: int
    heads: int
    image: int
    patch: int


VIT_B_32 = Shape(768, 3072, 12, 12, 224, 32)
TINY = Shape(32, 64, 2, 2, 32, 8)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clip_ensemble.py", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--members", type=int, default=8, help="towers (%(default)s)")
    parser.add_argument("--images", type=int, default=64, help="per run (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="images at a time; divides --images (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="of the peers; 0: all usable cores")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=["fusion-bench", "torch-compile"],
                        help="the peers (%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="with torch and transformers (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a tiny tower, to see whether everything works")
    add_common(parser, TREE / "build" / "peers" / "clip")
    parser.add_argument("--serve", choices=list(PEERS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    check_common(parser, options, ("members", "images", "batch", "repeats"))
    if options.images % options.batch:
        parser.error(f"--batch {options.batch} does not divide --images {options.images}; a last batch of another size "
                     "would be compiled again")
    options.threads = options.threads or len(os.sched_getaffinity(0))
    options.shape = TINY if options.tiny else VIT_B_32
    return options


# ---- weights and images --------------------------------------------------------------------------------------------

def tower_folder(options: argparse.Namespace, member: int) -> Path:
    return options.folder / f"{'tiny' if options.tiny else 'vit-b-32'}-{member}"


def images_file(options: argparse.Namespace) -> Path:
    return options.folder / f"images-{options.images}x{options.shape.image}.f32"


def make_data(options: argparse.Namespace) -> None:
    """Makes towers and images, unless they are there already."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModel

    options.folder.mkdir(parents=True, exist_ok=True)
    shape = options.shape
    config = CLIPVisionConfig(hidden_size=shape.hidden, intermediate_size=shape.intermediate, image_size=shape.image,
                              num_hidden_layers=shape.layers, num_attention_heads=shape.heads, patch_size=shape.patch)
    for member in range(options.members):
        if not (tower_folder(options, member) / "model.safetensors").exists():
            torch.manual_seed(member)
            CLIPVisionModel(config).save_pretrained(tower_folder(options, member))
    if not images_file(options).exists():
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(options.images, 3, shape.image, shape.image, generator=generator)
        partial = images_file(options).with_suffix(".partial")
        images.numpy().tofile(partial)
        partial.rename(images_file(options))


# ---- contestants ---------------------------------------------------------------------------------------------------

def aggregate(outputs: list[Any]) -> Any:
    """Like FusionBench's: each entry of the models' dicts, stacked and averaged."""
    import torch

    if isinstance(outputs[0], torch.Tensor):
        return torch.stack(outputs).mean(dim=0)
    return {key: aggregate([output[key] for output in outputs]) for key in outputs[0]}


def fusion_bench(models: list[Any], device_map: dict[int, str] | None) -> Callable[[Any], Any]:
    """EnsembleModule.forward: the members in a loop; a device_map moves images and outputs to the devices and back."""

    def forward(images: Any) -> Any:
        if device_map is None:
            outputs = [model(images) for model in models]
        else:
            outputs = []
            for number, model in enumerate(models):
                answer = model(images.to(device_map[number]))
                outputs.append({key: value.to(images.device) for key, value in answer.items()})
        return aggregate(outputs)["pooler_output"]

    return forward


def compiled(models: list[Any], frozen: bool) -> Callable[[Any], Any]:
    """The members compiled one by one for a fixed batch; their pooled features averaged."""
    import torch

    torch._dynamo.config.recompile_limit = 8 * len(models)
    if frozen:
        torch._inductor.config.freezing = True
    members = [torch.compile(model, dynamic=False) for model in models]
    return lambda images: torch.stack([model(images).pooler_output for model in members]).mean(dim=0)


def predictor(options: argparse.Namespace) -> Callable[[Any], Any]:
    """Images [batch, 3, side, side] to mean features."""
    from transformers import CLIPVisionModel

    models = [CLIPVisionModel.from_pretrained(tower_folder(options, member), local_files_only=True).eval()
              for member in range(options.members)]
    if options.serve.startswith("torch-compile"):
        return compiled(models, options.serve.endswith("frozen"))
    device_map = dict.fromkeys(range(len(models)), "cpu") if options.serve.endswith("device-map") else None
    return fusion_bench(models, device_map)


def serve_contestant(options: argparse.Namespace) -> None:
    """Speaks protocol.py until its input ends."""
    out = private_stdout()
    import numpy
    import torch

    torch.set_num_threads(options.threads)
    side = options.shape.image
    images = torch.from_numpy(numpy.fromfile(images_file(options), numpy.float32).reshape(-1, 3, side, side))
    predict = predictor(options)
    answer = torch.empty(0)

    def run() -> float:
        nonlocal answer
        begin = time.perf_counter()
        with torch.no_grad():
            answer = torch.cat([predict(batch) for batch in images.split(options.batch)])
        return time.perf_counter() - begin

    def prepare(form: str, batch: int) -> None:
        with torch.no_grad():
            predict(images[:options.batch])

    serve(out, prepare, run, lambda file: answer.numpy().tofile(file))


def spec_text(options: argparse.Namespace) -> str:
    """The same for Tutti."""
    side = options.shape.image
    lines = ["members:"]
    lines += [f"  - {{name: m{member}, model: {{kind: clip-vit, path: '{tower_folder(options, member)}', output: pooled}}, "
              "output: features}" for member in range(options.members)]
    lines += ["assignment: cpu", "combine: {rule: mean, over: features}", f"input: {{shape: [3, {side}, {side}]}}",
              f"segment_images: {options.batch}", f"batch_images: {options.batch}"]
    return "\n".join(lines) + "\n"


# ---- measuring -----------------------------------------------------------------------------------------------------

def command_of(name: str, options: argparse.Namespace) -> list[str]:
    if name == "tutti":
        spec = options.folder / "tutti.yaml"
        spec.write_text(spec_text(options))
        return [str(options.driver), str(spec), str(images_file(options)), "--count", str(options.images),
                "--side", str(options.shape.image)]
    words = [options.python, "-B", str(HERE / "clip_ensemble.py"), "--serve", name, "--folder", str(options.folder)]
    for option in ("members", "images", "batch", "threads"):
        words += [f"--{option}", str(getattr(options, option))]
    return words + (["--tiny"] if options.tiny else [])


def begin(entry: Entry, options: argparse.Namespace) -> None:
    start = time.monotonic()
    try:
        variables = dict(os.environ) if entry.name == "tutti" else environment(options.threads)
        entry.child = Child(command_of(entry.name, options), variables, options.folder / f"{entry.name}.log", DEADLINE)
        if entry.name != "tutti":
            entry.child.ask("prepare", {"form": "", "batch": options.batch}, "prepared")
        entry.ready_seconds = time.monotonic() - start
        entry.child.ask("run", {}, "ran")  # warm, as all will be
    except ContestantFailed as error:
        entry.drop(str(error))


def rows_of(entry: Entry, options: argparse.Namespace) -> list[Row]:
    conditions = {"workload": "clip tiny" if options.tiny else "clip ViT-B/32", "members": options.members,
                  "images": options.images, "batch_images": options.batch}
    figures = (("rate", "images/s", True, [options.images / seconds for seconds in entry.seconds]),
               ("start to ready", "s", False, [entry.ready_seconds]),
               ("memory", "MiB", False, [entry.memory_bytes / 2**20]))
    return [Row("clip", entry.name, conditions | {"figure": figure}, unit, [] if entry.failed else samples,
                higher_is_better, entry.failed, note=entry.note)
            for figure, unit, higher_is_better, samples in figures]


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.serve:
        serve_contestant(options)
        return 0
    birth = certificate(options)
    make_data(options)
    entries = [Entry(name) for name in (["tutti"] if options.driver else []) + options.only]
    try:
        for entry in entries:
            begin(entry, options)
        measure_rounds(entries, options.repeats, options.folder / "answer.f32")
    finally:
        close_all(entries)
    rows = [row for entry in entries for row in rows_of(entry, options)]
    for figure in ("rate", "start to ready", "memory"):
        chosen = [row for row in rows if row.conditions["figure"] == figure]
        print(table(figure, chosen, reference_of(chosen)) + "\n", flush=True)
    if options.json:
        append_rows(options.json, rows, birth)
    return 1 if any(entry.failed for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
