"""The libraries as an expert opens a model with them in one process: float32, frozen, `threads` threads, nothing
pinned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

Predict = Callable[[Any], Any]  # images of a batch (NumPy) -> the first output; by one thread at a time


def nothing() -> None:
    """What a library does at the start of a computing thread whose sessions know their number of threads."""


@dataclass(frozen=True)
class Library:
    """How a library opens a file, or the content of an ONNX file, for `threads` threads."""

    format: str
    open: Callable[[Any, int], Predict]
    one_thread: Callable[[], None] = nothing  # called by each of several threads that compute with one thread each
    warm_runs: int = 1


def onnxruntime_model(model: bytes | Path, threads: int) -> Predict:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model) if isinstance(model, Path) else model, settings,
                                           providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def openvino_model(model: bytes | Path, threads: int) -> Predict:
    import numpy
    import openvino

    core = openvino.Core()
    network = core.read_model(model) if isinstance(model, Path) else core.read_model(model, b"")
    compiled = core.compile_model(network, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    # The first call sets up the Python package, which hangs for ever if two threads make it at the same time.
    sizes = [1 if size.is_dynamic else size.get_length() for size in compiled.input(0).partial_shape]
    request.infer({0: numpy.zeros(sizes, numpy.float32)}, share_inputs=True)

    def predict(images: Any) -> Any:
        request.infer({0: images}, share_inputs=True)
        return request.get_output_tensor(0).data

    return predict


def torch_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def torchscript_model(model: Path, threads: int) -> Predict:
    import torch

    torch.set_num_threads(threads)
    frozen = torch.jit.freeze(torch.jit.load(str(model)).eval())

    def predict(images: Any) -> Any:
        with torch.inference_mode():
            return frozen(torch.from_numpy(images)).numpy()

    return predict


def package_model(model: Path, threads: int) -> Predict:
    import torch

    torch.set_num_threads(threads)
    loaded = torch._inductor.aoti_load_package(str(model))

    def predict(images: Any) -> Any:
        with torch.inference_mode():
            return loaded(torch.from_numpy(images)).numpy()

    return predict


# The profiling executor of TorchScript optimises in its first two runs.
LIBRARIES: dict[str, Library] = {
    "onnxruntime": Library("onnx", onnxruntime_model),
    "openvino": Library("onnx", openvino_model),
    "torchscript": Library("pt", torchscript_model, torch_one_thread, 3),
    "aoti": Library("pt2", package_model, torch_one_thread),
}
