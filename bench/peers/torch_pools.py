"""PyTorch in several processes: torch.multiprocessing with shared tensors, and concurrent.futures."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
import torch.multiprocessing as mp

from request import Request
from network import add_probabilities, network_in_form


def serve_member(job: Request, member: int, images: torch.Tensor, answers: torch.Tensor, tasks, done) -> None:
    """A worker of Processes: segments come through a queue, images and predictions are in shared memory."""
    torch.set_num_threads(job.threads)
    try:
        with torch.inference_mode():
            done.put("up")
            while (task := tasks.get()) is not None:
                begin, end, form, batch = task
                answer = torch.zeros(end - begin, job.classes)
                add_probabilities(network_in_form(job.data, member, form, batch), images[begin:end], batch, answer)
                answers[member, begin:end] = answer
                done.put(None)
    except Exception as error:  # the parent must not wait for a result that never comes
        done.put(f"member {member}: {type(error).__name__}: {error}")


class Processes:
    """One process per member."""

    def __init__(self, job: Request):
        self.job = job
        context = mp.get_context("spawn")
        self.images = torch.from_numpy(np.array(job.images())).share_memory_()
        self.answers = torch.zeros(job.members, job.image_count, job.classes).share_memory_()
        self.tasks = [context.SimpleQueue() for _ in range(job.members)]
        self.done = context.SimpleQueue()
        self.workers = [context.Process(target=serve_member, daemon=True,
                                        args=(job, member, self.images, self.answers, self.tasks[member], self.done))
                        for member in range(job.members)]
        for worker in self.workers:
            worker.start()
        for _ in self.workers:
            assert self.done.get() == "up"

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        given = 0
        for begin, end in self.job.segments(count):
            for queue in self.tasks:
                queue.put((begin, end, form, batch))
                given += 1
        for _ in range(given):
            if (trouble := self.done.get()) is not None:
                raise RuntimeError(trouble)
        return self.answers[:, :count].mean(0).numpy()

    def close(self) -> None:
        for queue in self.tasks:
            queue.put(None)
        for worker in self.workers:
            worker.join(3)


# State of a process of the executor.
executor_job: Request


def start_executor_process(job: Request) -> None:
    global executor_job
    executor_job = job
    torch.set_num_threads(job.threads)


def executor_task(member: int, images: np.ndarray, form: str, batch: int) -> np.ndarray:
    with torch.inference_mode():
        for any_member in range(executor_job.members):
            network_in_form(executor_job.data, any_member, form, batch)  # at the first task
        answer = torch.zeros(len(images), executor_job.classes)
        add_probabilities(network_in_form(executor_job.data, member, form, batch), torch.from_numpy(images), batch,
                          answer)
        return answer.numpy()


class Executor:
    """concurrent.futures: as many processes as cores, each with all members; images and predictions are pickled."""

    def __init__(self, job: Request):
        self.job = job
        self.images = np.array(job.images())
        self.processes = torch.get_num_threads()
        self.pool = ProcessPoolExecutor(self.processes, mp_context=mp.get_context("spawn"),
                                        initializer=start_executor_process, initargs=(job,))

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        total = np.zeros((count, self.job.classes), np.float32)
        tasks = [(begin, end, self.pool.submit(executor_task, member, self.images[begin:end], form, batch))
                 for begin, end in self.job.segments(count) for member in range(self.job.members)]
        for begin, end, task in tasks:
            total[begin:end] += task.result()
        return total / self.job.members

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)
