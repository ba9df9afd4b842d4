"""Training of all members in Keras, one process each with one thread, as the notebook does."""

from __future__ import annotations

from typing import Any

import numpy as np

from request import Request
from keras_pool import Pool, view_images



def serve_training(job: Request, member: int, shared: Any, tasks: Any, answers: Any) -> None:
    """Trains a member for one epoch from the same weights, as often as the parent asks."""
    try:
        import keras

        from keras_network import keras_weights, make_member, set_threads

        set_threads(job.threads, 1)
        images, labels = view_images(shared, job), job.labels()
        weights = keras_weights(job.data / f"m{member}.safetensors")
        model, key = make_member(job.classes), None
        answers.put(0.0)
        while (task := tasks.get()) is not None:
            form, batch, count = task
            if key != form:
                model.compile(optimizer=keras.optimizers.Adam(0.001), jit_compile=form == "fit, xla",
                              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                              steps_per_execution=50 if "50 steps" in form else 1)
                key = form
            model.set_weights(weights)
            history = model.fit(images[:count], labels[:count], batch_size=batch, epochs=1, verbose=0).history
            answers.put(history["loss"][-1])
    except Exception as error:  # the parent must not wait for a result that never comes
        answers.put(f"member {member}: {type(error).__name__}: {error}")


class Training(Pool):
    """`predict` is one epoch of all members over the first `count` images; it returns their losses."""

    def __init__(self, job: Request):
        super().__init__(job, serve_training)

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        for queue in self.tasks:
            queue.put((form, batch, count))
        return np.array([self.take() for _ in self.workers], np.float32)
