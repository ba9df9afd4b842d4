"""Compares the classes of tutti.fusion_bench with those of FusionBench, and runs its command line with both. Needs
fusion-bench; scripts/check-fusion-bench makes an environment that has it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fusion_bench.method as original_methods
import made_clip
import torch
from fusion_bench.modelpool import BaseModelPool
from fusion_bench.models.wrappers import ensemble as original
from omegaconf import DictConfig
from torch import nn

from tutti import fusion_bench as ours

IMAGES, CLASSES = 24, 10
# FusionBench itself computes these with a device_map by torch.jit.fork, which takes no mappings of unlike values.
NOT_WITH_DEVICE_MAP = ("pair", "CLIP tower with hidden states")


def compare(what: str, found: Any, wanted: Any) -> float:
    """The largest difference; ends the program if it is not small, or if the form differs."""
    if isinstance(wanted, torch.Tensor):
        assert found.shape == wanted.shape and found.device == wanted.device, (what, found.shape, wanted.shape)
        difference = float((found - wanted).abs().max())
        assert difference <= 1e-4 * max(1.0, float(wanted.abs().max())), (what, difference)
        return difference
    # With a device_map, FusionBench makes plain dicts of all mappings.
    same = isinstance(found, dict) if type(wanted) is dict else type(found) is type(wanted)
    assert same, (what, type(found), type(wanted))
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), (what, list(found), list(wanted))
        return max(compare(f"{what}.{key}", found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted), what
        return max(compare(f"{what}[{place}]", a, b) for place, (a, b) in enumerate(zip(found, wanted)))
    assert found is None and wanted is None, (what, found, wanted)
    return 0.0


class Pair(nn.Module):
    """Outputs in a dict, a list and None."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return {"a": self.layer(x), "b": [x * 2, (x.sum(-1), None)], "c": None}


def check_modules(folder: Path) -> None:
    torch.manual_seed(0)
    base = made_clip.write_clip(folder / "clip")
    towers = [made_clip.write_fine_tuned(folder / name, base, seed) for seed, name in enumerate(("svhn", "mnist"), 1)]
    pixels = torch.randn(IMAGES, 3, made_clip.TINY["image"], made_clip.TINY["image"])
    linears = [nn.Linear(10, 1) for _ in range(2)]
    pairs = [Pair(), Pair()]
    cases = [("linear", linears, (torch.randn(12, 10),), {}), ("linear, one sample without an axis", linears,
                                                              (torch.randn(10),), {}),
             ("pair", pairs, (torch.randn(7, 10),), {}),
             ("CLIP tower", towers, (), {"pixel_values": pixels}),
             ("CLIP tower with hidden states", towers, (), {"pixel_values": pixels, "output_hidden_states": True}),
             ("CLIP tower as tuples", towers, (pixels,), {"return_dict": False})]
    kinds = [("EnsembleModule", {}), ("EnsembleModule", {"device_map": {0: "cpu", 1: "cpu"}}),
             ("WeightedEnsembleModule", {"weights": [0.3, 0.9]}),
             ("WeightedEnsembleModule", {"weights": torch.tensor([2.0, -0.5]), "normalize": False}),
             ("MaxModelPredictor", {})]
    for what, models, args, kwargs in cases:
        for kind, options in kinds:
            if "device_map" in options and what in NOT_WITH_DEVICE_MAP:
                continue
            with torch.no_grad():
                wanted = getattr(original, kind)(models, **options).eval()(*args, **kwargs)
                module = getattr(ours, kind)(models, **options).eval()
                difference = compare(f"{kind} {options} of {what}", module(*args, **kwargs), wanted)
            module.close()
            print(f"{kind} {options or ''} of {what}: largest difference {difference:.2g}")


def check_algorithms() -> None:
    models = [nn.Linear(10, 1) for _ in range(2)]
    x = torch.randn(5, 10)
    for name, options in (("SimpleEnsembleAlgorithm", {}), ("WeightedEnsembleAlgorithm", {"weights": [0.3, 0.7]}),
                          ("WeightedEnsembleAlgorithm", {}), ("MaxModelPredictorAlgorithm", {})):
        pool = BaseModelPool(models=models)
        with torch.no_grad():
            wanted = getattr(original_methods, name)(**options).run(pool)(x)
            algorithm = getattr(ours, name)(**options)
            print(f"{name} {options or ''}: largest difference {compare(name, algorithm.run(pool)(x), wanted):.2g}")
            compare(name, algorithm.run(models)(x), wanted)
        assert algorithm.config["_target_"] == f"tutti.fusion_bench.{name}", algorithm.config
    # As its own test calls it: a configuration as the first argument, a sample without an axis.
    algorithm = ours.WeightedEnsembleAlgorithm(DictConfig({"name": "weighted_ensemble", "weights": [0.3, 0.7]}))
    outputs = [algorithm.run(models)(torch.randn(10)) for _ in range(2)]
    assert all(torch.is_tensor(one) and one.dim() == 1 for one in outputs)


def dataset() -> Any:
    """What the command line evaluates: noise with labels."""
    import datasets
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(3)
    pictures = [Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=numpy.uint8)) for _ in range(IMAGES)]
    return datasets.Dataset.from_dict(
        {"image": pictures, "label": [place % CLASSES for place in range(IMAGES)]},
        features=datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")}))


def run_command_line(folder: Path, target: str) -> dict[str, Any]:
    """The report of FusionBench's program with this algorithm."""
    (folder / "checked" / "method").mkdir(parents=True, exist_ok=True)
    (folder / "checked" / "method" / "checked.yaml").write_text(f"_target_: {target}\ndevice_map: null\n")
    (folder / "checked" / "modelpool").mkdir(exist_ok=True)
    (folder / "checked" / "modelpool" / "checked.yaml").write_text(
        "_target_: fusion_bench.modelpool.CLIPVisionModelPool\n_recursive_: false\nmodels:\n"
        + "".join(f"  {name}:\n    _target_: transformers.CLIPVisionModel.from_pretrained\n"
                  f"    pretrained_model_name_or_path: {folder / name}\n" for name in ("svhn", "mnist")))
    (folder / "checked" / "taskpool").mkdir(exist_ok=True)
    (folder / "checked" / "taskpool" / "checked.yaml").write_text(
        "_target_: fusion_bench.taskpool.CLIPVisionModelTaskPool\n_recursive_: false\n"
        "test_datasets:\n  mnist: {_target_: fusion_bench_check.dataset}\n"
        f"clip_model: {folder / 'clip'}\nprocessor: {folder / 'clip'}\n"
        "dataloader_kwargs: {batch_size: 10, num_workers: 0, shuffle: false}\n")
    report = folder / f"{target}.json"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "fusion_bench.scripts.cli", f"hydra.searchpath=[file://{folder / 'checked'}]",
                           "method=checked", "modelpool=checked", "taskpool=checked", f"report_save_path={report}",
                           "fabric.accelerator=cpu", "fabric.devices=1", f"path.log_dir={folder / 'logs'}"],
                          cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    print(f"fusion_bench method._target_={target}: {time.perf_counter() - start:.1f} s, {report.read_text()}")
    return json.loads(report.read_text())


def check_command_line(folder: Path) -> None:
    wanted = run_command_line(folder, "fusion_bench.method.SimpleEnsembleAlgorithm")
    found = run_command_line(folder, "tutti.fusion_bench.SimpleEnsembleAlgorithm")
    assert found["mnist"]["accuracy"] == wanted["mnist"]["accuracy"], (found, wanted)
    assert abs(found["mnist"]["loss"] - wanted["mnist"]["loss"]) < 1e-5, (found, wanted)
    assert found["model_info"] == wanted["model_info"], (found, wanted)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        check_modules(Path(name))
        check_algorithms()
        check_command_line(Path(name))
    print("the same as FusionBench")


if __name__ == "__main__":
    main()
