"""Ray: one actor per member; segments go through the object store."""

from __future__ import annotations

import numpy as np
import ray
import torch

from request import Request
from network import add_probabilities, network_in_form


class Member:
    def __init__(self, job: Request, member: int):
        torch.set_num_threads(job.threads)
        self.job, self.member = job, member

    def up(self) -> None:
        pass

    def predict(self, images: np.ndarray, form: str, batch: int) -> np.ndarray:
        with torch.inference_mode():
            answer = torch.zeros(len(images), self.job.classes)
            network = network_in_form(self.job.data, self.member, form, batch)
            add_probabilities(network, torch.from_numpy(images), batch, answer)
            return answer.numpy()


class Actors:
    def __init__(self, job: Request):
        self.job = job
        self.images = np.array(job.images())
        ray.init(num_cpus=job.members, include_dashboard=False, log_to_driver=False, configure_logging=False,
                 object_store_memory=512 << 20)
        # Ray would set one OpenMP thread per CPU that an actor asks for.
        actor = ray.remote(num_cpus=1)(Member)
        self.actors = [actor.remote(job, member) for member in range(job.members)]
        ray.get([actor.up.remote() for actor in self.actors])

    def predict(self, form: str, batch: int, count: int) -> np.ndarray:
        tasks = []
        for begin, end in self.job.segments(count):
            segment = ray.put(self.images[begin:end])
            tasks.append((begin, end, [actor.predict.remote(segment, form, batch) for actor in self.actors]))
        total = np.zeros((count, self.job.classes), np.float32)
        for begin, end, answers in tasks:
            for answer in ray.get(answers):
                total[begin:end] += answer
        return total / self.job.members

    def close(self) -> None:
        ray.shutdown()
