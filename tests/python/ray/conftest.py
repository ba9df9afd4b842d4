"""A Ray cluster on this machine, and data sets and ensembles for it."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Iterator

# Reports nothing, stays on the loopback device (the second), and notices a lost node in seconds.
os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
                   "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_health_check_failure_threshold": "3",
                   "RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "1000"})

import numpy  # noqa: E402
import pytest  # noqa: E402
import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

import tutti  # noqa: E402

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have this folder on their path

SHAPE = (3, 32, 32)
SEGMENT = 10


def described(members: int = 3, **more: Any) -> dict[str, Any]:
    """Small networks, whose last bits depend on the batch: 10 images are batches of 4, 4 and 2."""
    return {
        "members": [{"name": f"cnn-{rank}", "model": {"kind": "small-cnn", "classes": 5}, "weight": rank + 1}
                    for rank in range(members)],
        "assignment": "cpu",
        "input": {"shape": list(SHAPE)},
        "segment_images": SEGMENT,
        "batch_images": 4,
        "threads": 1,
    } | more


def images_of(numbers: numpy.ndarray) -> numpy.ndarray:
    """The image of each number."""
    return numpy.stack([numpy.random.default_rng(int(number)).random(SHAPE, dtype=numpy.float32) for number in numbers])


def dataset(rows: int = 200, blocks: int = 7, made: Callable[[numpy.ndarray], Any] = images_of) -> ray.data.Dataset:
    """Rows with a number and its image, in blocks that have nothing to do with segments. Lost ones can be made again."""
    return ray.data.range(rows, override_num_blocks=blocks).map_batches(
        lambda batch: {"id": batch["id"], "image": made(batch["id"])}, batch_size=None)


def taken(result: ray.data.Dataset, *names: str) -> list[numpy.ndarray]:
    """Columns of a whole data set."""
    blocks = [*result.iter_batches(batch_size=None, batch_format="numpy")]
    return [numpy.concatenate([block[name] for block in blocks]) for name in names]


def on_one_machine(description: dict[str, Any], samples: Any) -> Any:
    with tutti.Ensemble(description) as ensemble:
        return ensemble.predict(samples)


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The driver's node, which computes nothing, and three others."""
    found = Cluster(initialize_head=True, connect=False, head_node_args={
        "num_cpus": 0, "object_store_memory": 200 << 20, "include_dashboard": False})
    try:
        for _ in range(3):
            add_node(found)
        ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


def add_node(cluster: Cluster, **more: Any) -> Any:
    return cluster.add_node(**({"num_cpus": 2, "object_store_memory": 200 << 20} | more))
