"""Makes packages of AOTInductor of a small network, and the network's outputs in Python.

    python make_packages.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

IMAGES = 9


class Network(torch.nn.Module):
    """Each image's output depends only on that image."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3)
        self.dense = torch.nn.Linear(4, 7)

    def forward(self, x):
        return self.dense(torch.relu(self.convolution(x)).mean((2, 3)))


class InTuple(Network):
    def forward(self, x):
        return x.mean((2, 3)), super().forward(x)


class InDict(Network):
    def forward(self, x):
        answer = super().forward(x)
        return {"hidden": (x.mean((2, 3)), answer + 1), "pooler_output": answer}


class OfTwo(Network):
    def forward(self, x, y):
        return super().forward(x + y)


def package(network, inputs, file, batch, metadata=None):
    """`batch`: None for any from 1 to 64."""
    shapes = None if batch else ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(network, inputs, dynamic_shapes=shapes)
    torch._inductor.aoti_compile_and_package(
        exported, package_path=str(file),
        inductor_configs={"freezing": True, "aot_inductor.metadata": metadata or {}})


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    weights = Network().state_dict()

    def made(kind):
        network = kind()
        network.load_state_dict(weights)
        return network.eval()

    images = torch.rand(IMAGES, 3, 32, 32)
    with torch.no_grad():
        for batch in (1, 4):
            package(made(Network), (images[:batch],), folder / f"fixed{batch}.pt2", batch)
        package(made(Network), (images[:4],), folder / "any.pt2", None,
                {"tutti.batch": "dynamic", "tutti.max_batch": "64", "tutti.torch": torch.__version__.split("+")[0]})
        package(made(InTuple), (images[:4],), folder / "tuple.pt2", 4)
        package(made(InDict), (images[:4],), folder / "dict.pt2", 4, {"tutti.batch": "4"})
        package(made(OfTwo), (images[:4], images[:4]), folder / "two.pt2", 4)
        save_file({"images": images, "answers": made(Network)(images)}, folder / "answers.safetensors")


if __name__ == "__main__":
    main()
