"""Loads models from a factory, a pickled module or a Hugging Face folder; each becomes a float32 module in evaluation
mode whose output is exported. Writes nothing."""

from __future__ import annotations

import importlib
import json
import pickle
import re
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import hub
from .errors import ExportError, counted, first_line, need
from .files import refuse_lfs_pointer, refuse_lfs_pointers

_FACTORY = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
CLIP_TYPES = ("clip", "clip_vision_model")
# What wraps a module, and the prefix that it gives the names of its tensors.
WRAPPERS = {"module.": "torch.nn.DataParallel", "_orig_mod.": "torch.compile"}


@dataclass
class Source:
    """A model and what is known about it."""

    model: Any  # torch.nn.Module of float32 images [n, channels, height, width]; any output
    kind: str  # "module", "classifier" or "clip"
    answers: str  # "logits", "features" or "probabilities"
    shape: tuple[int, int, int] | None = None  # of one image; None: not known
    folder: Path | None = None  # of a Hugging Face model
    clip: Any = None  # CLIP: the vision model, without the module that chooses one output
    notes: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)  # names of the logits, if the model's configuration has them


def load(text: str, clip_output: str = "pooled", allow_pickle: bool = False) -> Source:
    """The model that `text` names. Raises ExportError that says what is wrong with it."""
    need("torch", "exporting a model")
    if _FACTORY.match(text) and not hub.is_hub_name(text):
        return Source(_evaluated(from_factory(text)), "module", "logits")
    if text.endswith(".py") or re.fullmatch(r"[A-Za-z_]\w*", text) and not Path(text).exists():
        module = text.removesuffix(".py").replace("/", ".")
        raise ExportError(f"'{text}' does not name a model", hint=f"name the function that makes the model: "
                          f"{module}:FUNCTION")
    path = hub.resolve(text)
    if path.is_file():
        return Source(_evaluated(from_pickle(path, allow_pickle)), "module", "logits")
    return from_folder(path, clip_output)


def _evaluated(model: Any) -> Any:
    return model.float().eval().requires_grad_(False)


def from_factory(text: str) -> Any:
    """The module that `package.module:factory` makes; the current folder is searched too."""
    torch = need("torch", "exporting a model")
    module_name, _, name = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except AttributeError:
        raise ExportError(f"the module '{module_name}' has no '{name}'") from None
    except Exception as error:  # any exception of the user's module while it is imported
        raise ExportError(f"cannot import the module '{module_name}': {first_line(error)}") from None
    try:
        model = factory()
    except Exception as error:
        raise ExportError(f"'{text}' failed: {first_line(error)}",
                          hint="the factory is called without arguments") from None
    if not isinstance(model, torch.nn.Module):
        raise ExportError(f"'{text}' made a {type(model).__name__}, and a torch.nn.Module is needed")
    return model


def format_of(file: Path) -> tuple[str, str]:
    """What a file is, for those that are no pickled module, and what to do with it; empty if it is not recognised. Only
    its first bytes and the names in an archive are read."""
    with file.open("rb") as opened:
        start = opened.read(16)
    if file.suffix == ".onnx" or start[:1] == b"\x08" and file.suffix not in (".pt", ".pth"):
        return "an ONNX model already", f"use it as it is: {{kind: onnx, path: {file}}}"
    if start[8:10] == b'{"':
        return ("a safetensors file: weights without a network",
                "name a factory that makes the network and loads them, as package.module:factory")
    if start[:6] == b"\x89HDF\r\n":
        return "an HDF5 file, as Keras writes, which Tutti cannot run", "export a PyTorch model"
    if start[:4] != b"PK\x03\x04" or not zipfile.is_zipfile(file):
        return "", ""
    names = zipfile.ZipFile(file).namelist()
    if any("data/aotinductor/" in name for name in names):
        return "an AOTInductor package already", f"use it as it is: {{kind: aoti, path: {file}}}"
    if any(name.endswith("constants.pkl") for name in names):
        return "TorchScript already", f"use it as it is: {{kind: torchscript, path: {file}}}"
    return "", ""


def from_pickle(file: Path, allow_pickle: bool) -> Any:
    """The module that torch.save wrote. A pickle runs code, so the user must allow it."""
    torch = need("torch", "exporting a model")
    refuse_lfs_pointer(file)
    what, hint = format_of(file)
    if what:
        raise ExportError(f"'{file}' is {what}", hint=hint)
    if not allow_pickle:
        raise ExportError(f"'{file}' is a pickled file, and loading one runs the code in it",
                          hint="use --allow-pickle if you trust its source")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        model = torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:
        model = _of_pickle_or_joblib(file, error)
    if isinstance(model, dict):
        raise ExportError(f"'{file}' holds weights without a network: {_dict_text(model)}",
                          hint="write a factory that makes the module and loads the state dict, and name it as "
                          "package.module:factory")
    if not isinstance(model, torch.nn.Module):
        library = type(model).__module__.partition(".")[0]
        raise ExportError(f"'{file}' holds a {type(model).__name__} of {library}, and a torch.nn.Module is needed")
    return model


def _of_pickle_or_joblib(file: Path, error: Exception) -> Any:
    """What a file that torch.load() rejects holds: pickle and joblib (scikit-learn) write it too."""
    try:
        with file.open("rb") as opened:
            return pickle.load(opened)
    except ModuleNotFoundError as missing:
        raise ExportError(f"'{file}' is a pickle of '{missing.name}', which is not installed, and a torch.nn.Module is "
                          "needed", hint="a factory, named as package.module:factory, is exported without a pickle") from None
    except Exception:  # the reason of torch.load() is the better one
        raise ExportError(f"cannot unpickle '{file}': {first_line(error)}",
                          "it may come from another library, such as scikit-learn, whose models Tutti cannot run, or be "
                          "cut short") from None


def _dict_text(found: dict[Any, Any]) -> str:
    """What is known about a dict of torch.save: a state dict, one inside a checkpoint, or one of a wrapped module."""
    inner = next((key for key in ("state_dict", "model_state_dict", "model") if isinstance(found.get(key), dict)), None)
    state = found[inner] if inner else found
    text = f"a state dict under '{inner}'" if inner else "a dict (a state dict?)"
    for prefix, maker in WRAPPERS.items():
        if state and all(str(name).startswith(prefix) for name in state):
            text += f", whose names begin with '{prefix}' of {maker}: remove it before load_state_dict()"
    return text


def quiet_transformers(purpose: str) -> Any:
    """The library without its progress bars and reports; important reports become an ExportError."""
    transformers = need("transformers", purpose)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def config_of(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text()))
    except FileNotFoundError:
        raise ExportError(f"'{folder}' is not a Hugging Face model: it has no config.json") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"cannot read '{folder}/config.json': {first_line(error)}") from None


def _vision_config(folder: Path, config: dict[str, Any], transformers: Any) -> Any:
    """The vision configuration of a CLIPModel, whose projection's width is in the outer configuration."""
    if config["model_type"] != "clip":
        return transformers.CLIPVisionConfig.from_pretrained(folder, local_files_only=True)
    whole = transformers.CLIPConfig.from_pretrained(folder, local_files_only=True)
    whole.vision_config.projection_dim = whole.projection_dim
    return whole.vision_config


def _pretrained(loader: Any, folder: Path, **settings: Any) -> Any:
    """The folder's model. Raises ExportError for missing weights, which transformers would initialise randomly."""
    try:
        model, told = loader.from_pretrained(folder, local_files_only=True, output_loading_info=True, **settings)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ExportError(f"cannot load '{folder}': {first_line(error)}") from None
    missing = sorted(told["missing_keys"])
    if missing:
        raise ExportError(f"'{folder}' lacks {counted(len(missing), 'tensor')} that the model needs: "
                          f"{', '.join(missing[:3])}",
                          hint="check that config.json describes this model, and that its head is trained")
    return _evaluated(model)


def _image_shape(config: dict[str, Any], found: Any) -> tuple[int, int, int] | None:
    size = getattr(found, "image_size", None) or config.get("image_size")
    channels = getattr(found, "num_channels", None) or config.get("num_channels") or 3
    if isinstance(size, (list, tuple)):
        return (channels, int(size[0]), int(size[1]))
    return (channels, int(size), int(size)) if size else None


def from_folder(folder: Path, clip_output: str) -> Source:
    """A CLIP tower or an image classifier, according to config.json."""
    transformers = quiet_transformers("a Hugging Face model")
    refuse_lfs_pointers(folder)
    config = config_of(folder)
    if config.get("model_type") in CLIP_TYPES:
        return _clip(folder, config, clip_output, transformers)
    model = _pretrained(transformers.AutoModelForImageClassification, folder)
    return Source(_choosing(model, lambda answer: answer.logits), "classifier", "logits",
                  _image_shape(config, model.config), folder, classes=class_names(config))


def class_names(config: dict[str, Any]) -> list[str]:
    """The names in `id2label`, in the order of the logits; empty if they only number the classes."""
    names = config.get("id2label") or {}
    ordered = [names.get(str(number)) for number in range(len(names))]
    if not all(isinstance(name, str) and name for name in ordered):
        return []
    return [] if all(name == f"LABEL_{number}" for number, name in enumerate(ordered)) else ordered


def _clip(folder: Path, config: dict[str, Any], clip_output: str, transformers: Any) -> Source:
    """`clip_output`: pooled features (what FusionBench averages), or projected ones."""
    if clip_output == "projected":
        model = _pretrained(transformers.CLIPVisionModelWithProjection, folder,
                            config=_vision_config(folder, config, transformers))
        chosen = _choosing(model, lambda answer: answer.image_embeds)
    else:
        model = _pretrained(transformers.CLIPVisionModel, folder)
        chosen = _choosing(model, lambda answer: answer.pooler_output)
    return Source(chosen, "clip", "features", _image_shape(config, model.config), folder, clip=model)


def _choosing(model: Any, choose: Any) -> Any:
    """A module that takes images and outputs one tensor of the output of `model`."""
    torch = need("torch", "exporting a model")

    class Chosen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: Any) -> Any:
            return choose(self.model(pixel_values=images))

    return Chosen().eval()


def entries_of(answer: Any) -> list[str]:
    """The names of the tensors in a tuple ("0", "1") or dict; empty for a tensor. Raises ExportError for others."""
    torch = need("torch", "exporting a model")
    if isinstance(answer, torch.Tensor):
        return []
    if isinstance(answer, dict):
        return [str(name) for name in answer]
    if isinstance(answer, (tuple, list)):
        return [str(number) for number in range(len(answer))]
    raise ExportError(f"the model outputs a {type(answer).__name__}, and a tensor, a tuple or a dict is needed")


def select(answer: Any, entry: str) -> Any:
    """The tensor of that name. Raises ExportError that lists the names if `entry` is not one of them."""
    torch = need("torch", "exporting a model")
    names = entries_of(answer)
    if not names:
        if entry:
            raise ExportError(f"--entry {entry} is for a tuple or a dict, and the model outputs a tensor")
        return answer
    if entry not in names:
        asked = f"has no entry '{entry}'" if entry else "has several entries"
        raise ExportError(f"the model's output {asked}; there are {', '.join(names)}",
                          hint="" if entry else "choose one with --entry")
    found = answer[entry] if isinstance(answer, dict) else answer[int(entry)]
    if not isinstance(found, torch.Tensor):
        raise ExportError(f"the entry '{entry}' is a {type(found).__name__}, and a tensor is needed")
    return found


def with_entry(model: Any, entry: str) -> Any:
    """The module that outputs only that entry; an exporter can then drop what the entry does not need."""
    torch = need("torch", "exporting a model")

    class Entry(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: Any) -> Any:
            answer = self.model(images)
            return answer[entry] if isinstance(answer, dict) else answer[int(entry)]

    return Entry().eval()
