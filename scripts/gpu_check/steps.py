"""The steps, in the order of their value: what is lost to a time-out is what matters least."""

from __future__ import annotations

import re
import time
from pathlib import Path

from .arrays import largest_difference, largest_value
from .bench import compare_strategies
from .checks import Findings, Place, Step
from .ensembles import CNN, LEARNING, MLP, Run, description, networks, training, tutti
from .machine import describe, used_megabytes
from .mistakes import make_mistakes
from .strikes import strike_predicting, strike_training

# The largest difference between a GPU and the CPU. Both compute in float32 and sum in another order, which changes
# probabilities by some 1e-6; TF32, which must be off, would change them by some 1e-3. Features are compared relative to
# their largest value.
PROBABILITY_TOLERANCE = 5e-5
FEATURE_TOLERANCE = 1e-4
ACCURACY_DISTANCE = 0.05
MEMORY_MARGIN = 64  # MiB that the GPU's memory in use may differ by when all is over

TEST_PROGRAMS = ("test-cuda-plugin", "test-cuda-graphs")
ON_NO_GPU = "there is a GPU"  # why the case is skipped that tests a machine without one


def cases_of(found: Findings, place: Place, program: Path) -> list[str]:
    listed = found.run([program, "--list-test-cases"], place.env)
    found.need(f"{program.name} lists its cases", listed.code == 0, listed.output.strip()[-300:])
    lines = [line for line in listed.output.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(("[doctest]", "===="))]


def run_tests(found: Findings, place: Place) -> None:
    """Each case in a process of its own: LibTorch decides for good whether there is CUDA when it is first asked."""
    counts = {"passed": 0, "failed": 0, "not shown": 0}
    found.figures["cases"] = counts
    for name in TEST_PROGRAMS:
        program = place.pack / "tests" / name
        if not found.check(f"{name} is in the pack", program.is_file()):
            continue
        for case in cases_of(found, place, program):
            outcome = found.run([program, f"-tc={case}"], place.env)
            skipped = re.search(r"^SKIPPED: *(.*)$", outcome.output, re.MULTILINE)
            if outcome.code != 0:
                counts["failed"] += 1
                found.check(case, False, outcome.output.strip()[-600:])
            elif not skipped:
                counts["passed"] += 1
                found.check(case, True)
            else:
                counts["not shown"] += 1
                found.skip(case, skipped.group(1))
                if not place.rehearsal and skipped.group(1) != ON_NO_GPU:
                    found.check(case, False, f"skipped: {skipped.group(1)}")


def make_references(found: Findings, place: Place) -> None:
    """Weights that say something, and what they predict on the CPU."""
    learned = tutti(found, place, "train", "cpu-train", training(place, place.scratch / "weights", assignment="cpu"))
    found.figures["accuracy"] = accuracies(learned)
    script = found.run([place.pack / "tests" / "tutti-save-script", place.scratch / "script.pt"], place.env)
    found.check("a TorchScript file is made", script.code == 0, wrong=script.output.strip())
    tutti(found, place, "run", "cpu", mixed_ensemble(place, assignment="cpu"))
    tutti(found, place, "run", "cpu-towers", towers(place, assignment="cpu"))


def accuracies(run: Run) -> dict[str, float]:
    return {"ensemble": run.report["ensemble"]["accuracy"],
            **{name: run.member(name)["accuracy"] for name in run.names()}}


def mixed_ensemble(place: Place, **more: object) -> dict:
    weights = place.scratch / "weights"
    learned = {name: model for name, model in LEARNING.items() if (weights / f"{name}.safetensors").is_file()}
    drawn = {name: model for name, model in LEARNING.items() if name not in learned}
    script = place.scratch / "script.pt"
    others = {"script": {"kind": "torchscript", "path": str(script)}} if script.is_file() else {}
    return description(place, networks(learned, weights) + networks({**drawn, **others}, None), **more)


def towers(place: Place, **more: object) -> dict:
    data = place.pack / "data" / "clip"
    models = {name: {"kind": "clip-vit", "path": str(data / name)} for name in ("bare", "projection")}
    return description(place, networks(models, None), **{"combine": {"rule": "mean", "over": "features"}, **more})


def compare(found: Findings, name: str, tolerance: float, cpu: Run, gpu: Run, relative: bool = False) -> None:
    """Every member and the ensemble against the CPU's."""
    for member in [*gpu.names(), ""]:
        wanted = cpu.values(member)
        scale = max(1.0, largest_value(wanted)) if relative else 1.0
        difference = largest_difference(wanted, gpu.values(member)) / scale
        label = member or "ensemble"
        found.figures[f"{name}: largest difference of {label}"] = difference
        found.check(f"{name}: {label} predicts as on the CPU", difference <= tolerance,
                    f"largest difference {difference:.2e}, tolerance {tolerance:.0e}")


def run_ensembles(found: Findings, place: Place) -> None:
    cpu = Run(place.scratch / "cpu")
    gpu = tutti(found, place, "run", "gpu", mixed_ensemble(place))
    found.figures["devices"] = {name: gpu.member(name)["device"] for name in gpu.names()}
    found.check(f"all members are on {place.device}",
                all(gpu.member(name)["device"].startswith(place.device) for name in gpu.names()))
    compare(found, "one device", PROBABILITY_TOLERANCE, cpu, gpu)

    again = tutti(found, place, "run", "gpu-again", mixed_ensemble(place))
    found.check("a second run has the same bytes", not gpu.same_bytes(again),
                wrong=", ".join(gpu.same_bytes(again)))

    on_cpu = [name for place_of, name in enumerate(gpu.names()) if place_of % 2]
    assignment = {name: "cpu" if name in on_cpu else place.device for name in gpu.names()}
    mixed = tutti(found, place, "run", "mixed", mixed_ensemble(place, assignment=assignment))
    for name in gpu.names():
        alike = cpu if name in on_cpu else gpu
        found.check(f"mixed devices: {name} on {assignment[name]} has the same bytes",
                    mixed.bytes_of(name) == alike.bytes_of(name))
    compare(found, "mixed devices", PROBABILITY_TOLERANCE, cpu, mixed)

    compare(found, "CLIP towers", FEATURE_TOLERANCE, Run(place.scratch / "cpu-towers"),
            tutti(found, place, "run", "towers", towers(place)), relative=True)


def strike(found: Findings, place: Place) -> None:
    before = used_megabytes(place)
    images = {"dataset": "random", "count": place.scaled(60000, 1200), "seed": 1, "classes": 10}
    work = description(place, networks({"cnn-0": CNN, "mlp": MLP}, None), input=images, batch_images=4,
                       start_method="spawn", assignment={"cnn-0": place.device, "mlp": place.device})
    undisturbed = tutti(found, place, "run", "undisturbed", work)
    found.figures["undisturbed seconds"] = undisturbed.report["phases"]["predict"]
    struck = strike_predicting(found, place, work, "cnn-0")
    different = undisturbed.same_bytes(struck)
    found.check("the run has the bytes of an undisturbed one", not different, wrong=", ".join(different))
    check_memory(found, place, before)


def check_memory(found: Findings, place: Place, before: int | None) -> None:
    if before is None:
        found.skip("the memory of the GPU is free again", "no GPU" if place.rehearsal else "nvidia-smi does not say")
        return
    after = used_megabytes(place)
    until = time.monotonic() + min(10.0, found.left())
    while after is not None and after > before + MEMORY_MARGIN and time.monotonic() < until:
        time.sleep(0.5)
        after = used_megabytes(place)
    found.figures["GPU memory in use before and after"] = f"{before} MiB, {after} MiB"
    found.check("the memory of the GPU is free again", after is not None and after <= before + MEMORY_MARGIN,
                f"{before} MiB before, {after} MiB after")


def weights_of(place: Place, name: str, run: Run) -> dict[str, bytes]:
    return {member: (place.scratch / name / f"{member}.safetensors").read_bytes() for member in run.names()}


def train(found: Findings, place: Place) -> None:
    cpu = Run(place.scratch / "cpu-train")
    runs = {}
    for name in ("weights-a", "weights-b"):
        runs[name] = tutti(found, place, "train", f"train-{name}", training(place, place.scratch / name))
    first = runs["weights-a"]
    for name, accuracy in accuracies(first).items():
        wanted = accuracies(cpu)[name]
        found.figures[f"accuracy of {name}"] = {"device": accuracy, "cpu": wanted}
        found.check(f"{name} learns as well as on the CPU", abs(accuracy - wanted) <= ACCURACY_DISTANCE,
                    f"{accuracy:.4f}, on the CPU {wanted:.4f}; they may differ by {ACCURACY_DISTANCE}")
    same = weights_of(place, "weights-a", first)
    found.check("a second training gives the same weights", same == weights_of(place, "weights-b", first))
    struck = strike_training(found, place, training(place, place.scratch / "weights-c", start_method="spawn"), "cnn-0")
    found.check("a training whose worker was killed gives the same weights",
                same == weights_of(place, "weights-c", struck))


STEPS = [
    Step("machine", "What the machine is", 90, False, describe),
    Step("tests", "Tests of label gpu", 150, True, run_tests),
    Step("references", "Trained and predicted on the CPU", 90, False, make_references),
    Step("ensembles", "Ensembles on the GPU against the CPU", 120, True, run_ensembles),
    Step("kill", "A worker on the GPU is killed while it predicts", 90, True, strike),
    Step("training", "Training on the GPU", 90, True, train),
    Step("mistakes", "A device that is missing, and a GPU that is full", 60, True, make_mistakes),
    Step("bench", "tutti bench on the GPU", 300, True, compare_strategies),
]
