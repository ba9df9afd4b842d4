"""TensorFlow/Keras with one process per member, with multiprocessing and queues: the notebook's strategy."""

from __future__ import annotations

import multiprocessing as mp
from typing import Any

import numpy as np

from request import Request


def shared_images(job: Request, context: Any) -> Any:
    """NHWC, in memory that all processes map."""
    shared = context.RawArray("f", job.image_count * 3 * 32 * 32)
    view_images(shared, job)[:] = job.images().transpose(0, 2, 3, 1)
    return shared


def view_images(shared: Any, job: Request) -> np.ndarray:
    return np.frombuffer(shared, np.float32).reshape(job.image_count, 32, 32, 3)


def serve_member(job: Request, member: int, shared: Any, tasks: Any, answers: Any) -> None:
    """A worker: predicts segments until it gets None."""
    try:
        from keras_network import in_form, load_member, set_threads

        set_threads(job.threads, 1)
        images = view_images(shared, job)
        model, key, network = load_member(job, member), None, None
        answers.put((member, 0, 0, None))
        while (task := tasks.get()) is not None:
            begin, end, form, batch = task
            if key != (form, batch):
                network, key = in_form(model, form, batch), (form, batch)
            answers.put((member, begin, end, network(images[begin:end])))
    except Exception as error:  # the parent must not wait for a result that never comes
        answers.put(f"member {member}: {type(error).__name__}: {error}")


class Pool:
    """The processes, their queues, and the images; each process runs `serve`."""

    def __init__(self, job: Request, serve: Any):
        self.job = job
        context = mp.get_context("spawn")
        shared = shared_images(job, context)
        self.tasks = [context.Queue() for _ in range(job.members)]
        self.answers = context.Queue()
        self.workers = [context.Process(target=serve, daemon=True,
                                        args=(job, member, shared, self.tasks[member], self.answers))
                        for member in range(job.members)]
        for worker in self.workers:
            worker.start()
        for _ in self.workers:
            self.take()

    def take(self) -> Any:
        answer = self.answers.get()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def close(self) -> None:
        for queue in self.tasks:
            queue.put(None)
        for worker in self.workers:
            worker.join(3)


class Processes(Pool):
    def __init__(self, job: Request):
        super().__init__(job, serve_member)

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        given = 0
        for begin, end in self.job.segments(count):
            for queue in self.tasks:
                queue.put((begin, end, form, batch))
                given += 1
        total = np.zeros((count, self.job.classes), np.float32)
        for _ in range(given):
            _, begin, end, answer = self.take()
            total[begin:end] += answer
        return total / self.job.members
