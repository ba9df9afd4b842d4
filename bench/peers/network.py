"""The Python twin of `small-cnn` (worker/torch/network.cpp) in the forms in which PyTorch's users run a model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Callable

import torch
from safetensors.torch import load_file
from torch import nn

Network = Callable[[torch.Tensor], torch.Tensor]



class SmallCnn(nn.Module):
    """Images [n, 3, 32, 32] to logits [n, 10]. The names are those of Tutti's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.fc1 = nn.Linear(1024, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.conv3(x)).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


class Merged(nn.Module):
    """All members as branches of one graph: images to the mean of their probabilities [n, 10]."""

    def __init__(self, members: list[SmallCnn]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.softmax(member(x), 1) for member in self.members]).mean(0)


def weights_file(data: Path, member: int) -> Path:
    return data / f"m{member}.safetensors"


def package_file(data: Path, member: int | str, batch: int, threads: int) -> Path:
    """The package of a member, or of "merged": all members in one graph."""
    return data / "packages" / f"{member}-batch{batch}-threads{threads}.pt2"


def load_member(data: Path, member: int) -> SmallCnn:
    network = SmallCnn()
    network.load_state_dict(load_file(weights_file(data, member)))
    return network.eval()


def load_package(data: Path, member: int | str, batch: int) -> Network:
    file = package_file(data, member, batch, torch.get_num_threads())
    return padded(torch._inductor.aoti_load_package(str(file), run_single_threaded=True), batch)


def padded(network: Network, batch: int) -> Network:
    """For a graph of one batch size: a shorter batch is padded."""

    def call(x: torch.Tensor) -> torch.Tensor:
        if len(x) == batch:
            return network(x)
        filled = x.new_zeros((batch, *x.shape[1:]))
        filled[:len(x)] = x
        return network(filled)[:len(x)]

    return call


@functools.cache
def network_in_form(data: Path, member: int, form: str, batch: int) -> Network:
    """`member` as images -> logits, for batches of `batch` images and less."""
    if form == "package":
        return load_package(data, member, batch)
    if form == "one package":  # for trying batches, without making packages of all members at each
        return load_package(data, 0, batch)
    return in_form(load_member(data, member), form, batch)


def in_form(network: nn.Module, form: str, batch: int) -> Network:
    if form == "eager":
        return network
    if form == "compile":
        return padded(torch.compile(network, dynamic=False), batch)
    traced = torch.jit.trace(network, torch.zeros(batch, 3, 32, 32))
    if form == "trace":
        return traced
    frozen = torch.jit.freeze(traced)
    return frozen if form == "freeze" else torch.jit.optimize_for_inference(frozen)


def add_probabilities(network: Network, images: torch.Tensor, batch: int, out: torch.Tensor) -> None:
    """Adds the probabilities for `images` to `out`, batch by batch."""
    for begin in range(0, len(images), batch):
        out[begin:begin + batch] += torch.softmax(network(images[begin:begin + batch]), 1)
