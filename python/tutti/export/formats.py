"""Writes a model as TorchScript (.pt), as an AOTInductor package (.pt2), as ONNX or as safetensors, and loads the result.
The caller decides whether the file is kept."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from .errors import DoesNotAgree, ExportError, first_line, need

Runner = Callable[[Any], Any]
ONNX_OPSET = 17  # ONNX Runtime 1.12, the oldest that Tutti opens, knows no later one
ONNX_BYTES = 2 << 30  # of one file, which is a protocol buffer
SMALL_CNN = {"conv1.weight": (32, 3, 3, 3), "conv1.bias": (32,), "conv2.weight": (64, 32, 3, 3), "conv2.bias": (64,),
             "conv3.weight": (64, 64, 3, 3), "conv3.bias": (64,), "fc1.weight": (64, 1024), "fc1.bias": (64,)}


def write_torchscript(model: Any, example: Any, file: Path, method: str) -> None:
    """`method`: trace (records what the model does with the example) or script (translates its Python)."""
    torch = need("torch", "exporting a model")
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values that a trace fixes; the result is checked afterwards
            if method == "script":
                made = torch.jit.script(model)
            else:
                made = torch.jit.trace(model, (example,), strict=False, check_trace=False)
    except Exception as error:  # any exception of the model
        other = "" if method == "script" else "; a model that cannot be traced may work with --format pt2"
        raise ExportError(f"TorchScript cannot {method} the model: {first_line(error)}",
                          hint=f"--method {'trace' if method == 'script' else 'script'}{other}") from None
    torch.jit.save(made, str(file))


def write_state(script: Path, file: Path) -> None:
    """All parameters and buffers of a TorchScript file, as a member's `weights` names them."""
    torch = need("torch", "exporting a model")
    safetensors_torch = need("safetensors.torch", "writing safetensors")
    state = torch.jit.load(str(script), map_location="cpu").state_dict()
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}  # none shares memory
    safetensors_torch.save_file(tensors, file, metadata={"format": "pt"})


def metadata_of(batch: int | None, max_batch: int, device: str) -> dict[str, str]:
    """The metadata that a worker checks before it runs a package; `batch` None: any from 1 to `max_batch`."""
    torch = need("torch", "exporting a model")
    if device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        isa = f"sm_{major}{minor}"
    else:
        isa = torch.backends.cpu.get_cpu_capability()
    found = {"tutti.batch": "dynamic" if batch is None else str(batch), "tutti.torch": torch.__version__.split("+")[0],
             "tutti.device": device, "tutti.isa": isa}
    return found | ({"tutti.max_batch": str(max_batch)} if batch is None else {})


def write_package(model: Any, example: Any, file: Path, batch: int | None, max_batch: int, device: str) -> None:
    """An AOTInductor package with frozen weights; `batch` None: any from 1 to `max_batch`.

    Takes seconds to minutes and needs a C++ compiler. The process that runs it sets the number of threads."""
    torch = need("torch", "exporting a model")
    inductor = need("torch._inductor", "exporting a model")
    shapes = None if batch is not None else ({0: torch.export.Dim("batch", min=1, max=max_batch)},)
    try:
        with torch.no_grad():
            exported = torch.export.export(model, (example,), dynamic_shapes=shapes)
    except Exception as error:
        raise ExportError(f"torch.export cannot export the model: {first_line(error)}",
                          hint="use --batch N if the model needs a fixed batch") from None
    settings = {"freezing": True, "cpp.dynamic_threads": True,
                "aot_inductor.metadata": metadata_of(batch, max_batch, device)}
    try:
        with torch.no_grad():
            inductor.aoti_compile_and_package(exported, package_path=str(file), inductor_configs=settings)
    except Exception as error:
        compiler = "" if shutil.which("g++") or shutil.which("clang++") else "a C++ compiler is needed: install g++"
        raise ExportError(f"AOTInductor cannot compile the model: {first_line(error)}", hint=compiler) from None


def onnx_kind() -> str:
    """The kind of the member that computes an .onnx with a library of this environment. Raises ExportError if it has none."""
    for package, kind in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        if importlib.util.find_spec(package) is not None:
            return kind
    raise ExportError("an .onnx file is checked with ONNX Runtime or OpenVINO, and neither is installed",
                      hint="pip install onnxruntime")


@contextmanager
def plain_attention(torch: Any) -> Iterator[None]:
    """nn.MultiheadAttention by single operators: ONNX has none for the fused one of PyTorch's fast path."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def write_onnx(model: Any, example: Any, file: Path, batch: int | None, method: str) -> None:
    """An ONNX model with the input `images` and the output `output`; `batch` None: of any. `method`: trace or script."""
    torch = need("torch", "exporting a model")
    need("onnx", "writing an .onnx file")
    held = sum(tensor.nbytes for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    if held >= ONNX_BYTES:
        raise ExportError(f"an .onnx file holds less than 2 GiB, and the weights are {held / (1 << 30):.1f} GiB",
                          hint="use --format pt or --format pt2")
    axes = {"images": {0: "batch"}, "output": {0: "batch"}} if batch is None else None
    try:
        with torch.no_grad(), warnings.catch_warnings(), plain_attention(torch):
            warnings.simplefilter("ignore")  # as in write_torchscript()
            network = torch.jit.script(model) if method == "script" else model
            torch.onnx.export(network, (example,), str(file), input_names=["images"], output_names=["output"],
                              dynamic_axes=axes, opset_version=ONNX_OPSET, dynamo=False)
    except Exception as error:
        raise ExportError(f"torch.onnx cannot export the model: {first_line(error)}",
                          hint="use --format pt or --format pt2") from None


def write_clip_folder(vision: Any, source: Path, folder: Path) -> None:
    """Writes the vision model in Hugging Face's form into an existing folder: config.json, model.safetensors, and the
    files of its preprocessing that the source has."""
    need("safetensors", "writing safetensors")
    vision.save_pretrained(folder, safe_serialization=True)
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def native_kind(tensors: dict[str, Any]) -> dict[str, Any]:
    """The `model:` of Tutti's own networks that these tensors fit: small-cnn or mlp. Raises ExportError that lists what
    does not fit."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [f"{name}: {_text(shapes.get(name))} instead of {_text(shape)}"
             for name, shape in SMALL_CNN.items() if shapes.get(name) != shape]
    extra = sorted(shapes.keys() - SMALL_CNN.keys() - {"fc2.weight", "fc2.bias"})
    classes = shapes.get("fc2.weight", (0,))[0]
    if not wrong and not extra and shapes.get("fc2.weight") == (classes, 64) and shapes.get("fc2.bias") == (classes,):
        return {"kind": "small-cnn", "classes": classes}
    layers = mlp_layers(shapes)
    if layers:
        return {"kind": "mlp", "layers": layers}
    raise ExportError("these weights are neither those of a small-cnn nor those of an mlp",
                      detail="for small-cnn: " + "; ".join((wrong + [f"{name}: not of it" for name in extra])[:6])
                      if wrong or extra else "for small-cnn: fc2", hint="use --format pt or --format pt2 for other modules")


def mlp_layers(shapes: dict[str, tuple[int, ...]]) -> list[int]:
    """The widths of an mlp with fc1 ... fcN; empty if the tensors are not those of an mlp."""
    count = len(shapes) // 2
    wanted = {f"fc{number}.{part}" for number in range(1, count + 1) for part in ("weight", "bias")}
    if not shapes or shapes.keys() != wanted:
        return []
    widths: list[int] = []
    for number in range(1, count + 1):
        weight, bias = shapes[f"fc{number}.weight"], shapes[f"fc{number}.bias"]
        if len(weight) != 2 or bias != weight[:1] or (widths and weight[1] != widths[-1]):
            return []
        widths.append(weight[0])
    return widths


def _text(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "scalar"


def write_native(model: Any, file: Path) -> dict[str, Any]:
    """Writes the weights of a small-cnn or mlp; returns its `model:` without the file."""
    safetensors_torch = need("safetensors.torch", "writing safetensors")
    tensors = {name: tensor.detach().float().contiguous() for name, tensor in model.state_dict().items()}
    kind = native_kind(tensors)
    safetensors_torch.save_file(tensors, file)
    return kind


def load_torchscript(file: Path, device: str) -> Runner:
    torch = need("torch", "exporting a model")
    return torch.jit.load(str(file), map_location=device).eval()


def load_package(file: Path) -> Runner:
    inductor = need("torch._inductor", "exporting a model")
    return inductor.aoti_load_package(str(file))


def load_onnx(file: Path, kind: str) -> Runner:
    """By the library of onnx_kind(). Raises DoesNotAgree if it does not load the file."""
    torch = need("torch", "exporting a model")
    try:
        if kind == "onnx":
            session = need("onnxruntime", "checking an .onnx file").InferenceSession(
                str(file), providers=["CPUExecutionProvider"])
            return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        openvino = need("openvino", "checking an .onnx file")
        compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda images: torch.from_numpy(compiled([images.numpy()])[0])
    except ExportError:
        raise
    except Exception as error:  # each library has exceptions of its own
        raise DoesNotAgree("the exported file cannot be loaded", first_line(error)) from None


def load_clip_folder(folder: Path, clip_output: str) -> Runner:
    from .sources import from_folder

    return from_folder(folder, clip_output).model
