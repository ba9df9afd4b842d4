"""Makes workload S: random images, and the members' weights in a form that Tutti and PyTorch read.

    workload.py DATA IMAGES MEMBERS
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from network import SmallCnn, weights_file

SEED = 0


def make_workload(data: Path, images: int, members: int) -> None:
    data.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    random.random((images, 3, 32, 32), dtype=np.float32).tofile(data / "images.f32")
    random.integers(0, 10, images).astype(np.int64).tofile(data / "labels.i64")
    for member in range(members):
        torch.manual_seed(SEED + member)
        save_file(SmallCnn().state_dict(), weights_file(data, member))


if __name__ == "__main__":
    make_workload(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
