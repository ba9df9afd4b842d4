"""TensorFlow/Keras in one process: the notebook's `sequential` and `single graph`."""

from __future__ import annotations

import os

import keras
import numpy as np
from keras import layers

from request import Request
from keras_network import in_form, load_member, set_threads


class Sequential:
    """One member after another."""

    def __init__(self, job: Request):
        set_threads(job.threads, len(os.sched_getaffinity(0)))
        self.job = job
        self.images = np.ascontiguousarray(job.images().transpose(0, 2, 3, 1))
        self.models = self.make_models()
        self.key: tuple[str, int] | None = None

    def make_models(self) -> list[keras.Model]:
        return [load_member(self.job, member) for member in range(self.job.members)]

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        if self.key != (form, batch):
            self.networks, self.key = [in_form(model, form, batch) for model in self.models], (form, batch)
        return sum(network(self.images[:count]) for network in self.networks) / len(self.networks)

    def close(self) -> None:
        pass


class Merged(Sequential):
    """All members as branches of one model, which TensorFlow runs in parallel."""

    def make_models(self) -> list[keras.Model]:
        images = keras.Input((32, 32, 3))
        branches = [model(images) for model in super().make_models()]
        return [keras.Model(images, layers.Average()(branches) if len(branches) > 1 else branches[0])]
