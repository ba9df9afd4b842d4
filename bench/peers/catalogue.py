"""The contestants of each table, and the settings that each may choose from. Starts nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass

TORCH_FORMS = ("eager", "trace", "freeze", "optimize_for_inference")
KERAS_FORMS = ("predict", "call", "function", "xla")

# The settings of Tutti's workers: the memory of large activations is kept when they are freed.
MALLOC_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


# The form in which Tutti chooses its batch.
AUTO = "auto"


@dataclass(frozen=True)
class Contestant:
    name: str
    forms: tuple[str, ...] = ("",)
    threads: tuple[str, ...] = ("1",)  # within an operation: "1" or "all" cores
    about: str = ""


@dataclass(frozen=True)
class Setting:
    form: str
    threads: int
    batch: int

    def text(self) -> str:
        if self.form == AUTO:
            return "batch_images: auto"
        threads = f"{self.threads} thread" + ("" if self.threads == 1 else "s")
        return ", ".join(part for part in (self.form, threads, f"batch {self.batch}") if part)


TUTTI = Contestant("tutti", about="one worker per member")

USERS = (
    Contestant("keras-sequential", KERAS_FORMS, ("1", "all"), "TensorFlow: one member after another"),
    Contestant("keras-processes", KERAS_FORMS, ("1",), "TensorFlow: a process per member, queues"),
    Contestant("keras-merged", KERAS_FORMS, ("1", "all"), "TensorFlow: all members in one graph"),
    Contestant("torch-loop", TORCH_FORMS, ("1", "all"), "PyTorch: one member after another"),
    Contestant("torch-threads", TORCH_FORMS, ("1",), "PyTorch: a thread per member"),
    Contestant("torch-fused", ("vmap", "vmap, compile", "compile", "trace", "optimize_for_inference"), ("1", "all"),
               "PyTorch: all members in one graph"),
    Contestant("torch-multiprocessing", TORCH_FORMS, ("1",), "a process per member, shared tensors"),
    Contestant("ray", TORCH_FORMS, ("1",), "an actor per member, object store"),
    Contestant("futures", TORCH_FORMS, ("1",), "ProcessPoolExecutor, a process per core"),
)

KERNELS = (
    Contestant("torch-loop", ("package",), ("1", "all")),
    Contestant("torch-threads", ("package",)),
    Contestant("torch-fused", ("package",), ("all",)),
    Contestant("torch-multiprocessing", ("package",)),
    Contestant("ray", ("package",)),
    Contestant("futures", ("package",)),
)

TRAINING = (
    Contestant("keras-training", ("fit", "fit, 50 steps per execution", "fit, xla"), ("1",),
               "TensorFlow: a process per member"),
)

TABLES = {"users": USERS, "kernels": KERNELS, "training": TRAINING}
TITLES = {"users": "as users run it", "kernels": "same kernels", "training": "training"}


def names() -> list[str]:
    """The names of all peers, in the tables' order."""
    return list(dict.fromkeys(contestant.name for table in TABLES.values() for contestant in table))


def cores() -> int:
    return len(os.sched_getaffinity(0))


def settings(contestant: Contestant, batches: list[int], all_cores: int) -> list[Setting]:
    """The settings to choose from at these batches, ordered by threads, since each number needs a separate process."""
    threads = sorted({1 if text == "1" else all_cores for text in contestant.threads})
    return [Setting(form, number, batch) for number in threads for form in contestant.forms for batch in batches]
