"""Compares `tutti merge` with `batch_norm: estimate` and torch.optim.swa_utils.update_bn, on networks that are exported
traced and scripted.

    statistics_end_to_end.py --tutti build/release/bin/tutti

Prints the largest differences; ends with 1 where one is above its tolerance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from support import HERE, PYTHON

PACKAGES = ("torch", "safetensors", "numpy", "yaml")
TOLERANCE = 1e-6  # relative to the largest value of a tensor
BATCH = 8
IMAGES = 45  # five batches of eight and one of five


def averaged(seeds: tuple[int, ...]) -> Any:
    """The network whose every floating value is the mean of those networks'."""
    import nets
    import torch

    models = [nets.residual(seed) for seed in seeds]
    state = {name: sum(model.state_dict()[name] for model in models) / len(models) if tensor.is_floating_point() else tensor
             for name, tensor in models[0].state_dict().items()}
    models[0].load_state_dict(state)
    return models[0].eval()


def update_bn(model: Any, images: Any) -> None:
    """As torch.optim.swa_utils.update_bn, but for dropout, which it leaves on."""
    import torch

    class OnlyNorms(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.model.dropout.eval()
            return self

        def forward(self, batch: Any) -> Any:
            return self.model(batch)

    torch.optim.swa_utils.update_bn(list(images.split(BATCH)), OnlyNorms())
    model.eval()


def run(*words: object, folder: Path) -> None:
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(word) for word in words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def export(folder: Path, method: str, seed: int) -> None:
    sys.path.insert(0, str(PYTHON))
    import nets
    import torch
    from tutti.export import formats

    # The command's factories take no seed.
    formats.write_torchscript(nets.residual(seed).eval(), torch.rand(2, 3, 12, 12), folder / f"{seed}.pt", method)
    formats.write_state(folder / f"{seed}.pt", folder / f"{seed}.safetensors")


def compare(tutti: Path, folder: Path, method: str, images: Any) -> float:
    """The largest difference, relative to the largest value of its tensor."""
    from safetensors.torch import load_file

    for seed in (1, 2):
        export(folder, method, seed)
    # One .pt serves both: its own weights do not count.
    (folder / "e.yaml").write_text(f"""
members:
  - {{name: a, model: {{kind: torchscript, path: 2.pt, weights: 1.safetensors}}}}
  - {{name: b, model: {{kind: torchscript, path: 2.pt, weights: 2.safetensors}}}}
assignment: cpu
batch_images: {BATCH}
segment_images: 20
input: {{dataset: npy, images: images.npy}}
merge: {{batch_norm: estimate, input: {{dataset: npy, images: images.npy}}}}
output: {method}
""")
    run(tutti, "merge", "e.yaml", folder=folder)
    report = json.loads((folder / method / "merge.json").read_text())["statistics"]
    assert (report["images"], report["batches"]) == (IMAGES, 6), report
    expected = averaged((1, 2))
    update_bn(expected, images)
    found = load_file(folder / method / "merged.safetensors")
    assert found.keys() == expected.state_dict().keys(), found.keys()
    worst = 0.0
    for name, tensor in expected.state_dict().items():
        difference = (found[name].double() - tensor.double()).abs().max().item() / max(tensor.double().abs().max().item(), 1e-9)
        worst = max(worst, difference)
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tutti", required=True, type=Path, help="the program")
    options = parser.parse_args()
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        print(f"SKIPPED: {sys.executable} has no {', '.join(missing)}; -DTUTTI_PYTHON=... names another interpreter")
        return 0
    import numpy
    import torch

    images = torch.rand(IMAGES, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 0.5
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        numpy.save(folder / "images.npy", images.numpy())
        for method in ("trace", "script"):
            worst = compare(options.tutti.resolve(), folder, method, images)
            print(f"{method}: largest difference to update_bn {worst:.2g} (allowed {TOLERANCE:.2g})")
            failed += worst > TOLERANCE
    return 1 if failed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
