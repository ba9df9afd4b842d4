"""Compares the program `tutti` with the same computation in Python (transformers), on random CLIP towers, zero-shot
heads and small made image folders.

    clip_end_to_end.py --tutti build/release/bin/tutti [--members 8] [--full] [--merge|--soup] [--rule max]
        [--backend onnxruntime] [--folder F]

By default tiny towers, an ensemble: `tutti run` (predictions.npy against the combined pooler_output of transformers) and
`tutti evaluate` (accuracy and loss per task, per member, base and ensemble). With --merge: `tutti merge`, against averaged
state dicts. With --soup: `tutti merge` of a greedy soup by what the tasks hold out, against the recipe.
Prints the largest differences; ends with 1 where one is above its tolerance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from support import PYTHON

PACKAGES = ("torch", "transformers", "safetensors", "PIL", "numpy")
TASKS = {"animals": ["cat", "dog", "a red fox"], "places": ["attic", "beach"]}
TOLERANCE = 1e-6  # of weights, relative to the largest
# Of features, relative to the largest, and of scores; they agree to some 1e-6. One grey level in one pixel makes some 2e-3, a
# crop that is a row off 3e-2 and more.
IMAGE_TOLERANCE = 5e-5
IMAGES_PER_CLASS = 4


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tutti", required=True, type=Path, help="the program")
    parser.add_argument("--members", type=int, default=2, help="towers (%(default)s)")
    parser.add_argument("--full", action="store_true", help="towers in the shape of ViT-B/32")
    parser.add_argument("--merge", action="store_true", help="`tutti merge` instead of `tutti run` and `evaluate`")
    parser.add_argument("--soup", action="store_true", help="a greedy soup by `tutti merge`")
    parser.add_argument("--rule", choices=["mean", "weighted", "max"], default="mean")
    parser.add_argument("--backend", choices=["torch", "openvino", "onnxruntime"], default="torch",
                        help="the library that computes the towers")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one that is removed")
    return parser.parse_args(arguments)


# ---- what is made --------------------------------------------------------------------------------------------------

def made_image(seed: int) -> Any:
    """A smooth pattern of its own size, so that resizing matters and is not a matter of single pixels."""
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(150, 400, 2))
    small = random.integers(0, 256, (7, 9, 3)).astype(numpy.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def make_images(folder: Path) -> None:
    for task_number, (task, classes) in enumerate(TASKS.items()):
        for label, name in enumerate(classes):
            place = folder / task / f"{label:03}-{name.replace(' ', '_')}"
            place.mkdir(parents=True)
            for number in range(IMAGES_PER_CLASS):
                made_image(1000 * task_number + 100 * label + number).save(place / f"{number:08}.png")


def image_files(folder: Path) -> list[Path]:
    """In the order in which tutti numbers them: class folders and files by name."""
    return sorted(folder.rglob("*.png"))


def make_heads(folder: Path, tower: Path) -> None:
    from tutti.export.__main__ import main

    folder.mkdir()
    for task, classes in TASKS.items():
        names = folder / f"{task}.txt"
        names.write_text("\n".join(classes))
        words = ["head", "--tower", tower, "--classes", names, "--output", folder / f"{task}.safetensors"]
        if main([str(word) for word in words]) != 0:
            raise SystemExit("clip_end_to_end: a head could not be made")


class World:
    """Everything that both sides work on."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        import made_clip

        self.options, self.folder = options, folder
        form = made_clip.VIT_B_32 if options.full else made_clip.TINY
        self.size = form["image"]
        self.clip = made_clip.write_clip(folder / "base", form)
        # More than a fine-tuning changes, so that members disagree; the last one spoils a soup.
        strengths = [0.05] * options.members
        if options.soup:
            strengths[-1] = 0.8
        self.towers = [made_clip.write_fine_tuned(folder / f"tower-{number}", self.clip, number + 1, strength)
                       for number, strength in enumerate(strengths)]
        self.weights = [1.0 + number for number in range(options.members)] if options.rule == "weighted" else []
        make_images(folder / "images")
        make_heads(folder / "heads", folder / "base")

    def input_of(self, task: str) -> str:
        return (f"{{dataset: folder, path: '{self.folder}/images/{task}', resize: {self.size}, rule: shorter, "
                f"crop: {self.size}, crop_rounding: floor, interpolation: bicubic}}")

    def config(self, more: str, output: Path) -> Path:
        from made_clip import MEAN, STD

        lines = ["members:"]
        for number in range(self.options.members):
            weight = f", weight: {self.weights[number]}" if self.weights else ""
            lines.append(f"  - {{name: m{number}, model: {{kind: clip-vit, path: '{self.folder}/tower-{number}', output: "
                         f"pooled, backend: {self.options.backend}}}, output: features, input: {{mean: {MEAN}, std: {STD}}}{weight}}}")
        lines += [f"combine: {{rule: {self.options.rule}, over: features}}", "assignment: cpu", "segment_images: 5",
                  "batch_images: 3", f"output: '{output}'", more]
        file = self.folder / f"{output.name}.yaml"
        file.write_text("\n".join(lines) + "\n")
        return file

    def tasks_and_base(self, held_out: bool = False) -> str:
        def images(task: str) -> str:
            if not held_out:
                return f"input: {self.input_of(task)}"
            # A few to judge by, for which another test looks; all to choose by.
            return f"input: {self.input_of(task)[:-1]}, limit: 3}}, held_out: {self.input_of(task)}"

        lines = [f"base: {{kind: clip-vit, path: '{self.folder}/base', output: pooled, "
                 f"backend: {self.options.backend}}}", "tasks:"]
        lines += [f"  - {{name: {task}, {images(task)}, head: '{self.folder}/heads/{task}.safetensors'}}"
                  for task in TASKS]
        return "\n".join(lines)


# ---- the same in Python --------------------------------------------------------------------------------------------

def preprocessed(file: Path, size: int) -> Any:
    """As CLIP's processor does it with Pillow: bicubic to the shorter side, centre crop, normalise. [3, size, size]"""
    import numpy
    import torch
    from PIL import Image

    from made_clip import MEAN, STD

    image = Image.open(file).convert("RGB")
    width, height = image.size
    shorter = min(width, height)
    new = (int(size * width / shorter), int(size * height / shorter))
    # The width first, as in Pillow before version 13, which begins with the height if that loses much more.
    image = image.resize((new[0], height), Image.Resampling.BICUBIC).resize(new, Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    pixels = numpy.asarray(image.crop((left, top, left + size, top + size)), dtype=numpy.float32) / 255
    normalised = (pixels - numpy.array(MEAN, numpy.float32)) / numpy.array(STD, numpy.float32)
    return torch.from_numpy(normalised.transpose(2, 0, 1).copy())


class Reference:
    """Features and scores by transformers."""

    def __init__(self, world: World):
        import torch

        self.world, self.torch = world, torch
        self.images = {task: torch.stack([preprocessed(file, world.size) for file in
                                          image_files(world.folder / "images" / task)]) for task in TASKS}
        self.labels = {task: torch.tensor([int(file.parent.name[:3])
                                           for file in image_files(world.folder / "images" / task)])
                       for task in TASKS}

    def features(self, model: Any, task: str) -> Any:
        """pooler_output [images, features]."""
        with self.torch.no_grad():
            return self.torch.cat([model(pixel_values=batch).pooler_output for batch in self.images[task].split(8)])

    def combined(self, task: str) -> Any:
        """As FusionBench's EnsembleModule, WeightedEnsembleModule and MaxModelPredictor."""
        stacked = self.torch.stack([self.features(tower, task) for tower in self.world.towers])
        rule = self.world.options.rule
        if rule == "max":
            return stacked.max(dim=0).values
        if rule == "weighted":
            weights = self.torch.tensor(self.world.weights)
            return (stacked * (weights / weights.sum()).view(-1, 1, 1)).sum(dim=0)
        return stacked.mean(dim=0)

    def logits(self, features: Any, task: str) -> Any:
        from safetensors.torch import load_file
        from tutti.export.head import apply_head

        return apply_head(load_file(self.world.folder / "heads" / f"{task}.safetensors"), features)

    def scores(self, features: Any, task: str) -> dict[str, float]:
        """Accuracy and loss over the images."""
        logits = self.logits(features, task)
        labels = self.labels[task]
        return {"accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
                "loss": self.torch.nn.functional.cross_entropy(logits, labels).item()}


# ---- tutti ---------------------------------------------------------------------------------------------------------

def run_tutti(world: World, *words: object) -> None:
    command = [str(world.options.tutti), *map(str, words)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=world.folder)
    if answer.returncode != 0:
        raise SystemExit(f"clip_end_to_end: {' '.join(command)} ended with {answer.returncode}:\n{answer.stderr}")


def missing(tutti: Path, words: list[str]) -> str:
    """What this build of the program cannot do; empty if nothing."""
    answer = subprocess.run([str(tutti), "--help"], capture_output=True, text=True)
    for word in words:
        if f"\n  {word} " not in answer.stdout:
            return f"{tutti} has no command '{word}'"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.yaml"
        file.write_text("members:\n  - {name: a, model: {kind: clip-vit, path: a, output: pooled}, output: features}\n"
                        "combine: {over: features}\ninput: {dataset: folder, path: a}\n")
        answer = subprocess.run([str(tutti), "validate", str(file)], capture_output=True, text=True)
    return f"{tutti} does not know clip-vit or folder" if answer.returncode != 0 else ""


class Differences:
    """Named, with their tolerances."""

    def __init__(self) -> None:
        self.wrong = 0

    def add(self, what: str, difference: float, allowed: float) -> None:
        good = difference <= allowed  # false for NaN
        self.wrong += not good
        print(f"{what:<60} {difference:9.2e}  (allowed {allowed:.0e}){'' if good else '  WRONG'}", flush=True)

    def tensors(self, what: str, found: Any, expected: Any, allowed: float = TOLERANCE) -> None:
        if tuple(found.shape) != tuple(expected.shape):
            print(f"{what}: shape {tuple(found.shape)}, expected {tuple(expected.shape)}  WRONG")
            self.wrong += 1
            return
        largest = max(1.0, expected.abs().max().item())
        self.add(what, (found - expected).abs().max().item() / largest, allowed)


def compare_run(world: World, reference: Reference, differences: Differences) -> None:
    import numpy
    import torch

    for task in TASKS:
        out = world.folder / f"run-{task}"
        run_tutti(world, "run", world.config(f"input: {world.input_of(task)}", out))
        found = torch.from_numpy(numpy.load(out / "predictions.npy"))
        differences.tensors(f"run, {task}: combined features", found, reference.combined(task), IMAGE_TOLERANCE)


def rows_of(report: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """(role, name of a member) -> its row; of base, merged and ensemble the name is empty."""
    models = json.loads(report.read_text())["evaluation"]["models"]
    return {(row["role"], row["name"] if row["role"] == "member" else ""): row for row in models}


def compare_rows(rows: dict[tuple[str, str], dict[str, Any]], expected: dict[tuple[str, str], Any],
                 differences: Differences) -> None:
    for key, scores in expected.items():
        name = " ".join(part for part in key if part)
        if key not in rows:
            print(f"evaluation: no row for {name}  WRONG")
            differences.wrong += 1
            continue
        for task, wanted in scores.items():
            found = rows[key]["tasks"][task]
            for figure, value in wanted.items():
                figure_found = math.nan if found[figure] is None else found[figure]
                differences.add(f"{name}, {task}: {figure}", abs(figure_found - value), IMAGE_TOLERANCE)


def expected_rows(world: World, reference: Reference) -> dict[tuple[str, str], Any]:
    def scored(features: Any) -> dict[str, Any]:
        return {task: reference.scores(features(task), task) for task in TASKS}

    rows = {("ensemble", ""): scored(reference.combined),
            ("base", ""): scored(lambda task: reference.features(world.clip.vision_model, task))}
    for number, tower in enumerate(world.towers):
        rows["member", f"m{number}"] = scored(lambda task, tower=tower: reference.features(tower, task))
    return rows


def compare_evaluate(world: World, reference: Reference, differences: Differences) -> None:
    out = world.folder / "evaluate"
    run_tutti(world, "evaluate", world.config(world.tasks_and_base(), out))
    compare_rows(rows_of(out / "report.json"), expected_rows(world, reference), differences)


def compare_merge(world: World, reference: Reference, differences: Differences) -> None:
    from safetensors.torch import load_file

    out = world.folder / "merge"
    run_tutti(world, "merge", world.config("merge: {method: average}\n" + world.tasks_and_base(), out))
    files = [file for file in out.rglob("*.safetensors")]
    if len(files) != 1:
        raise SystemExit(f"clip_end_to_end: {len(files)} safetensors below {out}, where the merged model was expected")
    merged = load_file(files[0])
    average = average_of([tower.state_dict() for tower in world.towers])
    if merged.keys() != average.keys():
        raise SystemExit(f"clip_end_to_end: keys differ: {sorted(merged.keys() ^ average.keys())[:6]}")
    worst = max(average, key=lambda name: (merged[name] - average[name]).abs().max().item())
    differences.tensors(f"merge: {worst}", merged[worst], average[worst])
    world.towers[0].load_state_dict(average)  # the towers are not needed any more
    expected = {task: reference.scores(reference.features(world.towers[0], task), task) for task in TASKS}
    report = out / "report.json"
    if not report.exists() or not json.loads(report.read_text()).get("evaluation"):  # merged only: evaluate by itself
        again = world.folder / "evaluate-merged"
        model = files[0].parent if files[0].name == "model.safetensors" else files[0]
        run_tutti(world, "evaluate", world.config(world.tasks_and_base(), again), "--merged", model)
        report = again / "report.json"
    compare_rows(rows_of(report), {("merged", ""): expected}, differences)


def average_of(state_dicts: list[Any]) -> Any:
    import torch

    return {name: torch.stack([state[name].double() for state in state_dicts]).mean(dim=0).float()
            for name in state_dicts[0]}


def label_by(world: World, state: Any) -> None:
    """Moves the images to the classes that a tower with these weights decides for: it is right about all of them."""
    reference, tower = Reference(world), world.towers[0]
    own = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    tower.load_state_dict(state)
    for task in TASKS:
        classes = sorted((world.folder / "images" / task).iterdir())
        decided = reference.logits(reference.features(tower, task), task).argmax(dim=1).tolist()
        for file, label in zip(image_files(world.folder / "images" / task), decided, strict=True):
            file.rename(classes[label] / f"{file.parent.name}-{file.name}")
    tower.load_state_dict(own)


def greedy_soup(states: list[Any], probe: Any, reference: Reference) -> list[dict[str, Any]]:
    """Model soups, recipe 1, one member at a time: the steps as merge.json has them. `probe` takes their weights."""
    def measured(members: list[int]) -> dict[str, float]:
        probe.load_state_dict(average_of([states[member] for member in members]))
        return {task: reference.scores(reference.features(probe, task), task)["accuracy"] for task in TASKS}

    def mean(tasks: dict[str, float]) -> float:
        return sum(tasks.values()) / len(tasks)

    alone = [mean(measured([member])) for member in range(len(states))]
    chosen: list[int] = []
    best, steps = -1.0, []
    for member in sorted(range(len(states)), key=lambda member: -alone[member]):  # equal ones keep their order
        tasks = measured([*chosen, member])
        added = mean(tasks) >= best - 1e-9
        steps.append({"name": f"m{member}", "added": added, "accuracy": mean(tasks), "tasks": tasks})
        if added:
            chosen, best = [*chosen, member], mean(tasks)
    return steps


def compare_soup(world: World, differences: Differences) -> None:
    from safetensors.torch import load_file

    out = world.folder / "soup"
    states = [{name: tensor.clone() for name, tensor in tower.state_dict().items()} for tower in world.towers]
    label_by(world, average_of(states[:2]))
    reference = Reference(world)
    run_tutti(world, "merge", world.config("merge: {method: greedy_soup}\n" + world.tasks_and_base(held_out=True), out))
    soup = json.loads((out / "merge.json").read_text())["soup"]
    steps = greedy_soup(states, world.towers[0], reference)
    for found, wanted in zip(soup["steps"], steps, strict=True):
        differences.add(f"soup: {found['name']} {'is added' if found['added'] else 'is left out'}",
                        float((found["name"], found["added"]) != (wanted["name"], wanted["added"])), 0)
        for task, accuracy in wanted["tasks"].items():
            differences.add(f"soup with {found['name']}, {task}", abs(found["tasks"][task] - accuracy), 1e-6)
        differences.add(f"soup with {found['name']}", abs(found["accuracy"] - wanted["accuracy"]), 1e-6)
    chosen = [step["name"] for step in steps if step["added"]]
    differences.add(f"soup: {', '.join(chosen)} are chosen", float(soup["chosen"] != chosen), 0)
    helped = len({step["accuracy"] for step in steps if step["added"]}) > 1
    differences.add("soup: one member helps and one does not", float(not helped or len(chosen) == len(steps)), 0)
    average = average_of([states[int(name[1:])] for name in chosen])
    merged = load_file(out / "merged" / "model.safetensors")
    worst = max(average, key=lambda name: (merged[name] - average[name]).abs().max().item())
    differences.tensors(f"soup: {worst}", merged[worst], average[worst])


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    more = () if options.backend == "torch" else (options.backend,)
    lacking = [package for package in (*PACKAGES, *more) if importlib.util.find_spec(package) is None]
    if lacking:
        print(f"SKIPPED: {sys.executable} has no {', '.join(lacking)}")
        return 0
    options.tutti = options.tutti.resolve()
    if reason := missing(options.tutti, ["merge"] if options.merge or options.soup else ["run", "evaluate"]):
        print(f"SKIPPED: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder.resolve() if options.folder else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        world = World(options, folder)
        reference, differences = Reference(world), Differences()
        if options.soup:
            compare_soup(world, differences)
        elif options.merge:
            compare_merge(world, reference, differences)
        else:
            compare_run(world, reference, differences)
            compare_evaluate(world, reference, differences)
    return 1 if differences.wrong else 0


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(PYTHON)
    sys.exit(main(sys.argv[1:]))
