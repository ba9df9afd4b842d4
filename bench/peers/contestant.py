"""One contestant as a process: `contestant.py STRATEGY DATA IMAGES MEMBERS SEGMENT THREADS`, see protocol.py."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import numpy as np

from request import Request
from protocol import private_stdout, serve

STRATEGIES = {
    "torch-loop": "torch_single.Loop",
    "torch-threads": "torch_single.Threads",
    "torch-fused": "torch_single.Fused",
    "torch-multiprocessing": "torch_pools.Processes",
    "futures": "torch_pools.Executor",
    "ray": "ray_pool.Actors",
    "keras-sequential": "keras_single.Sequential",
    "keras-merged": "keras_single.Merged",
    "keras-processes": "keras_pool.Processes",
    "keras-training": "keras_training.Training",
}


def main(arguments: list[str]) -> None:
    out = private_stdout()
    module, name = STRATEGIES[arguments[0]].split(".")
    count, members, segment, threads = map(int, arguments[2:6])
    peer = getattr(importlib.import_module(module), name)(Request(Path(arguments[1]), count, members, segment, threads))
    current: dict = {}

    def prepare(form: str, batch: int) -> None:
        current.update(form=form, batch=batch)
        for _ in range(2):  # TorchScript optimises in the second
            predict(min(count, segment))

    def predict(images: int) -> None:
        current["answer"] = peer.predict(current["form"], current["batch"], images)

    def run() -> float:
        begin = time.perf_counter()
        predict(count)
        return time.perf_counter() - begin

    def save(file: Path) -> None:
        np.asarray(current["answer"], dtype=np.float32).tofile(file)

    try:
        serve(out, prepare, run, save)
    finally:
        peer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
