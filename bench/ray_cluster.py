"""What Ray adds to the pool, and how it grows with the nodes: the figures of docs/scaling.md. Run by scripts/check-ray.

Usage: scripts/check-ray --bench [--rounds N] [--blocks N] [--only networks ...]

Nodes are processes on this machine (ray.cluster_utils). Rounds are interleaved. Times of blocks are those between
results, once every actor has given two; so the start is in none of them."""

from __future__ import annotations

import argparse
import os
import statistics
import time

# Reports nothing, and stays on the loopback device (the second).
os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
                   "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"})

import numpy  # noqa: E402
import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

import tutti  # noqa: E402
import tutti.ray  # noqa: E402

NODES, ROWS, SHAPE = 3, 1000, (3, 32, 32)
LOCAL = {"object_store_memory": 300 << 20, "include_dashboard": False}


def described(members: int, model: dict) -> dict:
    return {"members": [{"name": f"m{rank}", "model": model} for rank in range(members)], "assignment": "cpu",
            "input": {"shape": [*SHAPE]}, "segment_images": 500, "batch_images": 20, "threads": 1}


NETWORKS = described(4, {"kind": "small-cnn", "classes": 10})
# A block takes a quarter of a second, in which the node has nothing to compute, as if its members were on a GPU.
WAITING = described(1, {"kind": "fake", "classes": 10, "delay_ms": 5})
AT_ONCE = described(1, {"kind": "fake", "classes": 10, "reads_input": False})
ENSEMBLES = {"networks": NETWORKS, "waiting": WAITING, "at once": AT_ONCE}


def of_pool(description: dict, blocks: list[numpy.ndarray]) -> tuple[float, ...]:
    """Seconds of a block, in one ensemble without Ray, two blocks at a time as an actor has them."""
    with tutti.Ensemble(description) as ensemble:
        ensemble.predict(blocks[0])
        start = time.perf_counter()
        for _ in ensemble.map(blocks, in_flight=2):
            pass
        return ((time.perf_counter() - start) / len(blocks),)


def of_ray(description: dict, dataset: ray.data.Dataset, actors: int) -> tuple[float, ...]:
    """Seconds of a block, and seconds until the first."""
    start = time.perf_counter()
    stamps = []
    for _ in tutti.ray.predict(dataset, description, rows=ROWS, actors=actors).iter_batches(
            batch_size=None, prefetch_batches=0):
        stamps.append(time.perf_counter())
    first, blocks = 2 * actors - 1, len(stamps) - 2 * actors
    return (stamps[-1] - stamps[first]) / blocks, stamps[0] - start


def text(values: list[float], unit: str = "ms") -> str:
    scale = 1000 if unit == "ms" else 1
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle * scale:.1f} {unit} ({low * scale:.1f} to {high * scale:.1f})"


def measure(blocks: int, rounds: int, only: list[str]) -> None:
    images = numpy.random.default_rng(1).integers(0, 256, (ROWS, *SHAPE), dtype=numpy.uint8)
    dataset = ray.data.range(blocks, override_num_blocks=blocks).map_batches(
        lambda batch: {"image": numpy.random.default_rng(1).integers(0, 256, (ROWS, *SHAPE), dtype=numpy.uint8)},
        batch_size=None, udf_modifying_row_count=True).materialize()
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number in range(rounds):
        for name in only:
            description = ENSEMBLES[name]
            rows.setdefault(f"{name}, the pool", []).append(of_pool(description, [images] * blocks))
            for actors in range(1, NODES + 1):
                if name != "networks" or actors == NODES:
                    rows.setdefault(f"{name}, {actors} actors", []).append(of_ray(description, dataset, actors))
        print(f"round {number + 1} of {rounds} done; load {os.getloadavg()[0]:.1f}", flush=True)
        report(rows)


def report(rows: dict[str, list[tuple[float, ...]]]) -> None:
    """Of the rounds so far."""
    for name, found in rows.items():
        print(f"{name}: {text([row[0] for row in found])} a block" +
              (f", first after {text([row[1] for row in found], 's')}" if len(found[0]) > 1 else ""))
    if "networks, the pool" in rows:
        ratios = [ours[0] / theirs[0] for ours, theirs in
                  zip(rows[f"networks, {NODES} actors"], rows["networks, the pool"])]
        print(f"{NODES} actors add to the time of a block of networks: "
              f"{100 * (statistics.median(ratios) - 1):+.1f} % ({100 * (min(ratios) - 1):+.1f} to "
              f"{100 * (max(ratios) - 1):+.1f} %)   aim <= +10 %")
    times = {name: statistics.median(row[0] for row in found) for name, found in rows.items()}
    waiting, at_once = ([times.get(f"{name}, {actors} actors", 0.0) for actors in range(1, NODES + 1)]
                        for name in ("waiting", "at once"))
    if all(waiting + at_once):
        fit(waiting, min(at_once))


def fit(seconds: list[float], driver: float) -> None:
    """Of 1, 2, 3 ... nodes: b / n + c, by least squares. The driver passes on a block in `driver` seconds at best."""
    inverse = numpy.array([[1 / (place + 1), 1.0] for place in range(len(seconds))])
    (block, constant), *_ = numpy.linalg.lstsq(inverse, numpy.array(seconds), rcond=None)
    worst = max(abs(block * share + constant - found) / found for (share, _), found in zip(inverse, seconds))
    print(f"fit: a block every {block * 1000:.1f} ms / n + {constant * 1000:.1f} ms, at most {worst * 100:.1f} % off; "
          f"the driver passes on one in {driver * 1000:.1f} ms")
    for nodes in (10, 100, 1000):
        print(f"extrapolated to {nodes} nodes: a block of {nodes * driver:.1f} s keeps all of them busy", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=[*ENSEMBLES], default=[*ENSEMBLES])
    words = parser.parse_args()
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=LOCAL | {"num_cpus": 0})
    try:
        for _ in range(NODES):
            cluster.add_node(**LOCAL, num_cpus=2)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        measure(words.blocks, words.rounds, words.only)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
