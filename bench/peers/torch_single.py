"""PyTorch in one process: members one after another, one thread per member, and all members in one graph."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from request import Request
from network import Merged, add_probabilities, in_form, load_member, load_package, network_in_form, padded


class Loop:
    """One member after another, all threads inside an operation."""

    def __init__(self, job: Request):
        self.job = job
        torch.set_num_threads(job.threads)
        self.images = torch.from_numpy(np.array(job.images()))

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        with torch.inference_mode():
            total = torch.zeros(count, self.job.classes)
            for member in range(self.job.members):
                self.add_member(member, form, batch, total)
            return (total / self.job.members).numpy()

    def add_member(self, member: int, form: str, batch: int, total: torch.Tensor) -> None:
        network = network_in_form(self.job.data, member, form, batch)
        for begin, end in self.job.segments(len(total)):
            add_probabilities(network, self.images[begin:end], batch, total[begin:end])

    def close(self) -> None:
        pass


class Threads(Loop):
    """One thread per member over all images; PyTorch gives up the GIL inside operations."""

    def __init__(self, job: Request):
        super().__init__(job)
        self.pool = ThreadPoolExecutor(job.members)

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        def one(member: int) -> torch.Tensor:
            with torch.inference_mode():
                answer = torch.zeros(count, self.job.classes)
                self.add_member(member, form, batch, answer)
                return answer

        for member in range(self.job.members):
            network_in_form(self.job.data, member, form, batch)  # made by one thread
        return (sum(self.pool.map(one, range(self.job.members))) / self.job.members).numpy()

    def close(self) -> None:
        self.pool.shutdown()


class Fused(Loop):
    """All members in one graph; the form is `vmap` (stacked weights), or `merged` branches in a form."""

    graph_key: tuple[str, int] | None = None

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        with torch.inference_mode():
            if self.graph_key != (form, batch):
                self.graph, self.graph_key = self.make_graph(form, batch), (form, batch)
            answer = torch.empty(count, self.job.classes)
            for begin, end in self.job.segments(count):
                for at in range(begin, end, batch):
                    to = min(at + batch, end)
                    answer[at:to] = self.graph(self.images[at:to])
            return answer.numpy()

    def make_graph(self, form: str, batch: int):
        if form == "package":
            return load_package(self.job.data, "merged", batch)
        members = [load_member(self.job.data, member) for member in range(self.job.members)]
        if not form.startswith("vmap"):
            return in_form(Merged(members), form, batch)
        stacked = stacked_members(members)
        return padded(torch.compile(stacked, dynamic=False), batch) if form == "vmap, compile" else stacked


def stacked_members(members: list):
    """Images to mean probabilities, with weights stacked by torch.func: grouped convolutions."""
    weights, buffers = torch.func.stack_module_state(members)
    skeleton = members[0]

    def one(parameters, unused, x):
        return torch.softmax(torch.func.functional_call(skeleton, (parameters, unused), (x,)), 1)

    many = torch.vmap(one, in_dims=(0, 0, None))
    return lambda x: many(weights, buffers, x).mean(0)
