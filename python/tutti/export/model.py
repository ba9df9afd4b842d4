"""Exports a model: a torch.nn.Module, a Hugging Face image classifier or a CLIP vision tower becomes TorchScript (.pt),
an AOTInductor package (.pt2), ONNX or safetensors, and its member entry for ensemble.yaml is printed or added to a file.
With --best it becomes whichever of the first three is the fastest; with --shards several files, one for each part.

The exported file is loaded again and compared with the original on made-up images; if they differ by more than the
tolerance, the command ends with 1, keeps no file and adds no member.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import best, formats, member, preprocessing, shards, sources
from .errors import DoesNotAgree, ExportError, counted, first_line, need
from .files import folder_written_whole, written_whole

SUMMARY = "a model into .pt, .pt2, .onnx or safetensors, with its member entry"
FORMATS = {".pt": "pt", ".pt2": "pt2", ".onnx": "onnx", ".safetensors": "safetensors", "": "safetensors"}
TRIED = ("pt", "pt2", "onnx")  # by --best; the outputs of the others are compared with those of the first

MOST_THREADS = 1024
MOST_AXES = 6  # of an output: that of the images, and those of a prediction


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="package.module:factory, a pickled module, a folder of a Hugging "
                        "Face image classifier or CLIP model, or hf:owner/name")
    parser.add_argument("--output", required=True, type=Path, metavar="PATH",
                        help="FILE.pt, FILE.pt2, FILE.onnx, FILE.safetensors; for a CLIP tower as safetensors a folder; with "
                        "--best without an ending")
    parser.add_argument("--format", choices=["pt", "pt2", "onnx", "safetensors"], help="default: by the name of PATH")
    parser.add_argument("--best", action="store_true", help="try .pt, .pt2 and .onnx on this machine, and keep the fastest")
    parser.add_argument("--threads", type=int, metavar="N", help="best: threads that compute; default: one for each core")
    parser.add_argument("--name", help="of the member; default: by the name of PATH")
    parser.add_argument("--yaml", type=Path, metavar="FILE", help="add the member to this file instead of printing it")
    parser.add_argument("--shape", metavar="C,H,W", help="of one image; default: from the model's configuration")
    parser.add_argument("--batch", default="dynamic", metavar="N",
                        help="pt2, onnx: images per batch, or dynamic (%(default)s)")
    parser.add_argument("--max-batch", type=int, default=1024, metavar="N", help="pt2, dynamic: the most (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="pt2: what it is compiled for")
    parser.add_argument("--method", choices=["trace", "script"], default="trace", help="pt, onnx: how it is made")
    parser.add_argument("--weights", type=Path, metavar="FILE.safetensors", help="pt: writes the weights there too and "
                        "names them in the member, so that members of one network can be merged")
    parser.add_argument("--entry", default="", metavar="NAME", help="which tensor of a tuple (0) or dict (pooler_output) "
                        "to use; the file outputs only that one")
    parser.add_argument("--all-entries", action="store_true",
                        help="pt: the file outputs all tensors, and the member names the one to use")
    parser.add_argument("--answers", choices=["logits", "features", "probabilities"],
                        help="what the numbers mean; default: logits, of a CLIP tower features")
    parser.add_argument("--clip-output", choices=["pooled", "projected", "logits"], default="pooled",
                        help="of a CLIP tower; logits need --head and safetensors (%(default)s)")
    parser.add_argument("--head", type=Path, metavar="FILE", help="CLIP, logits: the head's safetensors")
    parser.add_argument("--mean", metavar="M,M,M", help="of the member's input, if the source has no "
                        "image processor")
    parser.add_argument("--std", metavar="S,S,S")
    parser.add_argument("--no-input", action="store_true", help="leave the preprocessing out of the member")
    parser.add_argument("--tolerance", type=float, default=1e-4, metavar="T", help="largest difference to the original, "
                        "relative to its largest value if that is above 1 (%(default)s)")
    parser.add_argument("--allow-pickle", action="store_true", help="load a pickled module, which runs the code in it")
    shards.add_options(parser)


@dataclass(frozen=True)
class Plan:
    """The options, completed from the model."""

    format: str
    batch: int | None  # None: any
    shape: tuple[int, int, int]
    member_input: dict[str, Any]


def per_channel(text: str, what: str, channels: int) -> list[float]:
    """The numbers of --mean or --std: one for each channel, or one for all."""
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        raise ExportError(f"{what} takes numbers with commas between, not '{text}'") from None
    if not all(math.isfinite(value) and (what == "--mean" or value > 0) for value in values):
        raise ExportError(f"{what} takes finite numbers{'' if what == '--mean' else ' above 0'}, not '{text}'")
    if len(values) not in (1, channels):
        raise ExportError(f"{what} has {counted(len(values), 'value')}, and the images have "
                          f"{counted(channels, 'channel')}", hint="give one for each channel, or one for all")
    return values


def parsed_shape(text: str) -> tuple[int, int, int]:
    words = text.split(",")
    if len(words) != 3 or not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise ExportError(f"--shape takes channels,height,width, for example 3,224,224, not '{text}'")
    return (int(words[0]), int(words[1]), int(words[2]))


def parsed_batch(text: str, max_batch: int) -> int | None:
    if text == "dynamic":
        if max_batch < 2:
            raise ExportError(f"--max-batch must be at least 2, not {max_batch}", hint="use --batch 1 for a batch of 1")
        return None
    if not text.isdigit() or int(text) < 1:
        raise ExportError(f"--batch takes a number of at least 1, or dynamic, not '{text}'")
    return int(text)


def chosen_format(options: argparse.Namespace) -> str:
    """A format, or "best". Raises ExportError if options cannot be combined."""
    chosen = options.format or FORMATS.get(options.output.suffix)
    if options.best:
        if options.format or options.output.suffix in (ending for ending in FORMATS if ending):
            raise ExportError("--best chooses the format", hint=f"leave out --format, and the ending of '{options.output}'")
        chosen = "best"
    if chosen is None:
        raise ExportError(f"'{options.output}' has no format",
                          hint="call it .pt, .pt2, .onnx or .safetensors, or use --format")
    if options.all_entries and chosen != "pt":
        raise ExportError("--all-entries is for --format pt: a package outputs one tensor",
                          hint="remove --all-entries to export only --entry NAME")
    if options.all_entries and not options.entry:
        raise ExportError("--all-entries needs --entry, the tensor to use")
    if options.clip_output == "logits" and (chosen != "safetensors" or not options.head):
        raise ExportError("--clip-output logits needs --head FILE and --format safetensors: the worker applies the head")
    if options.head and options.clip_output != "logits":
        raise ExportError("--head goes with --clip-output logits")
    if options.batch != "dynamic" and chosen not in ("pt2", "onnx", "best"):
        raise ExportError(f"--batch is for --format pt2 and onnx: {chosen} takes any batch")
    if options.device == "cuda" and chosen in ("onnx", "best"):
        raise ExportError("--device cuda is for --format pt2: " + ("Tutti computes ONNX models on the CPU"
                          if chosen == "onnx" else "--best measures on the CPU"))
    if options.threads is not None and (chosen != "best" or not 1 <= options.threads <= MOST_THREADS):
        raise ExportError("--threads goes with --best" if chosen != "best" else
                          f"--threads must be from 1 to {MOST_THREADS}, not {options.threads}")
    if options.weights and chosen != "pt":
        raise ExportError("--weights is for --format pt: " + {
            "pt2": "a package keeps its own", "onnx": "an .onnx keeps its own", "best": "the others keep their own",
            "safetensors": "safetensors are the weights"}[chosen])
    if options.weights and options.weights.suffix != ".safetensors":
        raise ExportError(f"--weights takes a .safetensors file, not '{options.weights}'")
    for file in (options.output, options.weights):  # before a model is exported, which may take minutes
        if file and not file.parent.is_dir():
            raise ExportError(f"the folder '{file.parent}' does not exist", hint=f"mkdir -p '{file.parent}'")
    if bool(options.mean) != bool(options.std):
        raise ExportError("--mean and --std must be used together")
    return chosen


def planned(options: argparse.Namespace, source: sources.Source, chosen: str) -> Plan:
    """Raises ExportError if the images' shape is not known."""
    found = {} if options.no_input or source.folder is None else preprocessing.read(source.folder)
    if source.folder is not None and not (found or options.no_input or options.mean):
        print(f"note: '{source.folder}' has no preprocessor_config.json or processor_config.json with an image processor, "
              "so the member has no 'input'; --mean and --std normalise the images", file=sys.stderr)
    shape = parsed_shape(options.shape) if options.shape else source.shape
    size = preprocessing.output_size(found)
    if shape is None and size:
        shape = (3, *size)
    if shape is None:
        raise ExportError("the shape of the images is not known", hint="set it, for example --shape 3,224,224")
    if options.mean:
        found |= {what: per_channel(text, f"--{what}", shape[0])
                  for what, text in (("mean", options.mean), ("std", options.std))}
    if size and size != shape[1:]:
        raise ExportError(f"the preprocessing gives images of {size[0]}x{size[1]}, and the model takes "
                          f"{shape[1]}x{shape[2]}", hint="use --no-input to leave the preprocessing out of the member")
    return Plan(chosen, parsed_batch(options.batch, options.max_batch), shape, found)


def images(shape: tuple[int, int, int], count: int, device: str = "cpu") -> Any:
    """Made-up images [count, channels, height, width], the same at every call."""
    torch = need("torch", "exporting a model")
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(count)).to(device)


def tried(model: Any, shape: tuple[int, int, int], device: str, entry: str) -> Any:
    """The model's output [n, ...] for two images: rows, masks, maps. Raises ExportError if it fails or the output has another form."""
    torch = need("torch", "exporting a model")
    try:
        with torch.no_grad():
            answer = model(images(shape, 2, device))
    except Exception as error:  # any exception of the user's model
        raise ExportError(f"the model fails on two images of {'x'.join(map(str, shape))}: {first_line(error)}",
                          hint="choose another shape with --shape C,H,W") from None
    tensor = sources.select(answer, entry)
    if not 1 <= tensor.dim() <= MOST_AXES or tensor.shape[0] != 2:
        form = "x".join(map(str, tensor.shape)) or "one number"
        raise ExportError(f"the model outputs {form} for two images, and [images, ...] with at most {MOST_AXES} axes is "
                          "needed", hint="choose another with --entry, or wrap the model in a factory")
    return tensor


def compared(original: Any, runner: formats.Runner, plan: Plan, options: argparse.Namespace) -> tuple[float, float]:
    """The largest difference, and the largest value of the original (at least 1), over several batch sizes. Raises
    DoesNotAgree if there is nothing to compare."""
    torch = need("torch", "exporting a model")
    batches = [plan.batch] if plan.batch is not None else [count for count in (1, 3, 8) if count <= options.max_batch]
    worst, largest = 0.0, 1.0
    for count in batches:
        batch = images(plan.shape, count, options.device)
        fixes = "use --format pt2 with --batch N if the model needs a fixed batch"
        try:
            with torch.no_grad():
                expected = sources.select(original(batch), options.entry)
        except Exception as error:  # any exception of the user's model
            raise ExportError(f"the model fails on a batch of {count}: {first_line(error)}", hint=fixes) from None
        try:
            with torch.no_grad():
                answer = runner(batch)
        except Exception as error:
            raise DoesNotAgree(f"the exported file fails on a batch of {count}, and the model does not",
                               first_line(error), f"--method script may keep what a trace loses; {fixes}") from None
        found = sources.select(answer, options.entry if options.all_entries else "").float()
        if found.shape != expected.shape:
            raise DoesNotAgree(f"the exported file outputs {tuple(found.shape)} for a batch of {count}, and the model "
                               f"{tuple(expected.shape)}", hint="--method script may keep what a trace loses")
        difference = (found - expected).abs().max().item()
        worst = max(worst, difference) if difference == difference else float("inf")  # NaN counts as different
        largest = max(largest, expected.abs().max().item())
    return worst, largest


def checked(original: Any, runner: formats.Runner, plan: Plan, options: argparse.Namespace, called: str) -> None:
    """Prints how far the exported file is from the original. Raises DoesNotAgree if that is too far."""
    difference, largest = compared(original, runner, plan, options)
    bound = options.tolerance * largest
    print(f"{called}: largest difference to the original {difference:.2g} (allowed {bound:.2g})")
    if difference > bound:
        raise DoesNotAgree("the exported file does not agree with the original",
                           f"it differs by {difference:.2g}, more than {bound:.2g}; nothing is kept, and no member was added",
                           "--tolerance, if that much is right for this model; --method script may keep what a trace loses")


def native_reference(kind: dict[str, Any], file: Path) -> formats.Runner:
    """A module that computes what Tutti's small-cnn or mlp computes with the weights in `file`."""
    torch = need("torch", "exporting a model")
    weights = need("safetensors.torch", "writing safetensors").load_file(file)
    functional = torch.nn.functional

    def dense(values: Any, number: int) -> Any:
        return functional.linear(values, weights[f"fc{number}.weight"], weights[f"fc{number}.bias"])

    def small_cnn(batch: Any) -> Any:
        for number in (1, 2, 3):
            batch = functional.relu(functional.conv2d(batch, weights[f"conv{number}.weight"],
                                                      weights[f"conv{number}.bias"]))
            batch = functional.max_pool2d(batch, 2) if number < 3 else batch
        return dense(functional.relu(dense(batch.flatten(1), 1)), 2)

    def mlp(batch: Any) -> Any:
        values = batch.flatten(1)
        count = len(kind["layers"])
        for number in range(1, count):
            values = functional.relu(dense(values, number))
        return dense(values, count)

    return small_cnn if kind["kind"] == "small-cnn" else mlp


def exported(source: sources.Source, plan: Plan, options: argparse.Namespace, file: Path,
             output: Path) -> tuple[dict[str, Any], formats.Runner]:
    """Writes to `file`, which becomes `output`; returns its `model:` and a function that runs it."""
    path = str(output)
    if plan.format == "safetensors" and source.kind == "clip":
        formats.write_clip_folder(source.clip, source.folder, file)
        model = {"kind": "clip-vit", "path": path, "output": options.clip_output}
        model |= {"head": str(options.head)} if options.head else {}
        return model, formats.load_clip_folder(file, options.clip_output)
    if plan.format == "safetensors":
        kind = formats.write_native(source.model, file)
        return {**kind, "weights": path}, native_reference(kind, file)
    network = source.model
    if options.entry and not options.all_entries:
        network = sources.with_entry(network, options.entry)
    if plan.format == "pt":
        formats.write_torchscript(network, images(plan.shape, 2, options.device), file, options.method)
        model = {"kind": "torchscript", "path": path} | ({"output": options.entry} if options.all_entries else {})
        return model, formats.load_torchscript(file, options.device)
    example = images(plan.shape, plan.batch or 2, options.device)
    if plan.format == "onnx":
        kind = formats.onnx_kind()
        formats.write_onnx(network, example, file, plan.batch, options.method)
        return {"kind": kind, "path": path}, formats.load_onnx(file, kind)
    formats.write_package(network, example, file, plan.batch, options.max_batch, options.device)
    return {"kind": "aoti", "path": path}, formats.load_package(file)


def export_checked(source: sources.Source, plan: Plan, options: argparse.Namespace, output: Path,
                   called: str) -> dict[str, Any]:
    """Writes `output`, which appears only if it agrees with the original; returns its `model:`. `called`: in messages."""
    is_folder = plan.format == "safetensors" and source.kind == "clip"
    with (folder_written_whole if is_folder else written_whole)(output) as partial:
        model, runner = exported(source, plan, options, partial, output)
        checked(source.model, runner, plan, options, called)
        if options.weights:
            with written_whole(options.weights) as state:
                formats.write_state(partial, state)
            model["weights"] = str(options.weights)
    return model


def export_best(source: sources.Source, plan: Plan, options: argparse.Namespace, answers: str) -> tuple[dict[str, Any], Path]:
    """Keeps the file that is the fastest here; returns its `model:`, and where it is."""
    def export(ending: str, file: Path) -> None:
        one = replace(plan, format=ending, batch=None if ending == "pt" else plan.batch)
        export_checked(source, one, options, file, f"{options.output}.{ending}")

    kept = best.kept(options.output, TRIED, export,
                     lambda files: best.measured(files, answers, plan.shape, plan.batch, options.threads or 0))
    return {"kind": kept.kind, "path": str(kept.file)}, kept.file


def export_shards(source: sources.Source, plan: Plan, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Writes one file for each part of the model; returns the `stages:`."""
    if source.kind == "clip":
        raise ExportError("--shards and --cut are for an nn.Sequential",
                          hint="export the tower as safetensors, and write 'shards: N' to its member")
    models = shards.export(source.model, lambda count: images(plan.shape, count, options.device), options,
                           lambda runner: checked(source.model, runner, plan, options, str(options.output)))
    return [{"model": model} for model in models]


def write_classes(names: list[str], file: Path) -> None:
    """The names of the classes, as `classes` of a description takes them."""
    with written_whole(file) as partial:
        partial.write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{file}: the names of {counted(len(names), 'class')}; use them with: classes: {file}")


def run(options: argparse.Namespace) -> int:
    chosen = chosen_format(options)
    cut = shards.wanted(options, chosen)
    if not options.tolerance > 0:
        raise ExportError(f"--tolerance must be above 0, not {options.tolerance}")
    name = member.checked_name(options.name or (options.output.name if options.best else options.output.stem))
    if options.best:
        best.program()  # before a model is exported, which may take minutes
    source = sources.load(options.source, options.clip_output, options.allow_pickle)
    plan = planned(options, source, chosen)
    if options.device == "cuda":
        if not need("torch", "exporting a model").cuda.is_available():
            raise ExportError("--device cuda: PyTorch finds no usable GPU")
        source.model.to("cuda")
    tried(source.model, plan.shape, options.device, options.entry)
    if options.yaml:
        member.check_room(options.yaml, name)
    answers = options.answers or ("logits" if options.clip_output == "logits" else source.answers)
    output = options.output
    if cut:
        computes: dict[str, Any] = {"stages": export_shards(source, plan, options)}
    elif options.best:
        model, output = export_best(source, plan, options, answers)
        computes = {"model": model}
    else:
        computes = {"model": export_checked(source, plan, options, options.output, str(options.output))}
    entry = member.entry(name, computes, answers, plan.member_input)
    if entry.get("model", {}).get("kind") in ("small-cnn", "mlp"):
        del entry["output"]  # they output logits
    if source.classes and entry.get("output") == "logits":
        write_classes(source.classes, output.with_suffix(".classes.json"))
    if options.yaml:
        member.add_to_file(options.yaml, entry)
        print(f"{options.yaml}: member '{entry['name']}' added")
    else:
        print(member.text_of(entry), end="")
    return 0
