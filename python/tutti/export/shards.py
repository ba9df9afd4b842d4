"""Cuts an nn.Sequential by its layers into TorchScript files that follow each other as the `stages` of a member, so that each
worker loads only its own weights."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

from . import formats
from .errors import ExportError, counted, first_line, need
from .files import written_whole

MOST_SHARDS = 16  # as many stages as a member may have
MOST_AXES = 6  # of what one shard passes on to the next
TIMED_IMAGES = 8
TIMES = 3  # the fastest counts


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", type=int, metavar="N", help="pt: cut an nn.Sequential into so many files, the stages of "
                        "one member; balanced by their bytes and their measured time")
    parser.add_argument("--cut", metavar="L,L", help="pt: instead of --shards: the layers, counted from 0, with which the "
                        "shards behind the first begin")


def wanted(options: argparse.Namespace, chosen: str) -> bool:
    """Whether the model is to be cut. Raises ExportError if options cannot be combined."""
    if options.shards is None and options.cut is None:
        return False
    if options.shards is not None and options.cut is not None:
        raise ExportError("--cut says how many shards there are", hint="leave out --shards")
    if chosen != "pt":
        raise ExportError("--shards and --cut are for --format pt", hint="--output FILE.pt")
    for option in ("entry", "all_entries", "weights"):
        if getattr(options, option):
            raise ExportError(f"--{option.replace('_', '-')} cannot be used with --shards and --cut")
    if options.shards is not None and not 2 <= options.shards <= MOST_SHARDS:
        raise ExportError(f"--shards must be from 2 to {MOST_SHARDS}, not {options.shards}")
    if options.cut is not None:
        parsed_cut(options.cut)
    return True


def parsed_cut(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.strip().isdigit() for word in words):
        raise ExportError(f"--cut takes layers, counted from 0, with commas between, such as 4,8, not '{text}'")
    cut = [int(word) for word in words]
    if cut[0] < 1 or any(later <= earlier for earlier, later in zip(cut, cut[1:])):
        raise ExportError(f"--cut must ascend from 1 or more, not '{text}'")
    if len(cut) >= MOST_SHARDS:
        raise ExportError(f"--cut makes {len(cut) + 1} shards, and a member has at most {MOST_SHARDS}")
    return cut


def layers_of(model: Any) -> list[Any]:
    """The modules that an nn.Sequential calls one after the other; those of an nn.Sequential in it one by one, too."""
    torch = need("torch", "exporting a model")
    plain = type(model).forward is torch.nn.Sequential.forward if isinstance(model, torch.nn.Sequential) else False
    if not plain or model._forward_hooks or model._forward_pre_hooks:
        return [model]
    return [layer for child in model for layer in layers_of(child)]


def bytes_of(layer: Any) -> int:
    return sum(tensor.nbytes for tensors in (layer.parameters(), layer.buffers()) for tensor in tensors)


def probed(layers: list[Any], images: Any) -> tuple[list[float], list[str]]:
    """The seconds of each layer, and why its output cannot be passed on to another worker; "" if it can."""
    torch = need("torch", "exporting a model")
    seconds, reasons = [], []
    values: Any = images
    for number, layer in enumerate(layers):
        try:
            with torch.no_grad():
                answer = layer(values)
                seconds.append(min(_seconds(layer, values) for _ in range(TIMES)))
        except Exception as error:  # any exception of the user's model
            raise ExportError(f"layer {number} ({type(layer).__name__}) fails: {first_line(error)}") from None
        values = answer
        reasons.append(_misfit(values, len(images)))
    return seconds, reasons


def _seconds(layer: Any, values: Any) -> float:
    begin = time.perf_counter()
    layer(values)
    return time.perf_counter() - begin


def _misfit(values: Any, images: int) -> str:
    torch = need("torch", "exporting a model")
    if not isinstance(values, torch.Tensor):
        return f"a {type(values).__name__}"
    if values.dtype != torch.float32:
        return str(values.dtype).removeprefix("torch.")
    if not 2 <= values.dim() <= MOST_AXES or values.shape[0] != images:
        return f"{'x'.join(map(str, values.shape)) or 'one number'} for {counted(images, 'image')}"
    return ""


def balanced(costs: list[list[float]], allowed: list[bool], shards: int) -> list[int] | None:
    """The layers with which the shards behind the first begin, so that the heaviest shard is as light as possible. `costs`
    has, for each kind of cost, that of each layer; a shard is as heavy as the largest of its shares of them. A shard may
    begin where `allowed`. None if there is no such cut."""
    count = len(allowed)
    sums = []
    for kind in costs:
        total = sum(kind) or 1.0
        upto = [0.0]
        for cost in kind:
            upto.append(upto[-1] + cost / total)
        sums.append(upto)

    def weight(begin: int, end: int) -> float:
        return max(upto[end] - upto[begin] for upto in sums)

    # best[end]: of the first `end` layers in the shards so far: the heaviest, and where they begin.
    best: dict[int, tuple[float, list[int]]] = {end: (weight(0, end), []) for end in range(1, count + 1)}
    for _ in range(shards - 1):
        further: dict[int, tuple[float, list[int]]] = {}
        for end in range(1, count + 1):
            found = [(max(best[begin][0], weight(begin, end)), [*best[begin][1], begin])
                     for begin in range(1, end) if allowed[begin] and begin in best]
            if found:
                further[end] = min(found)
        best = further
    return best[count][1] if count in best else None


def chosen_cut(layers: list[Any], images: Any, options: argparse.Namespace) -> list[int]:
    """Raises ExportError if the layers cannot be cut so."""
    shards = options.shards or len(parsed_cut(options.cut)) + 1
    if len(layers) < shards:
        raise ExportError(f"the model has {counted(len(layers), 'layer')}, and {counted(shards, 'shard')} are wanted")
    seconds, reasons = probed(layers, images)
    passed = "one tensor of float32 [images, ...] is passed from shard to shard"
    if options.cut is not None:
        cut = parsed_cut(options.cut)
        if cut[-1] >= len(layers):
            raise ExportError(f"--cut names layer {cut[-1]}, and the layers are 0 to {len(layers) - 1}")
        for begin in cut:
            if reasons[begin - 1]:
                raise ExportError(f"a shard cannot begin with layer {begin}: the one before it outputs {reasons[begin - 1]}",
                                  detail=passed, hint="cut elsewhere")
        return cut
    allowed = [False] + [not reason for reason in reasons[:-1]]
    cut = balanced([[float(bytes_of(layer)) for layer in layers], seconds], allowed, shards)
    if cut is None:
        raise ExportError(f"the model cannot be cut into {counted(shards, 'shard')}: {passed}, and too few layers output "
                          "that", hint="use fewer shards")
    return cut


def file_of(output: Path, number: int) -> Path:
    """models/net.pt: models/net.0.pt, models/net.1.pt ..."""
    return output.with_suffix(f".{number}{output.suffix}")


Check = Callable[[formats.Runner], None]


def export(model: Any, images: Callable[[int], Any], options: argparse.Namespace, check: Check) -> list[dict[str, Any]]:
    """Writes the shards, which appear only if `check` accepts what they compute together; returns the `model:` of each."""
    torch = need("torch", "exporting a model")
    layers = layers_of(model)
    if len(layers) == 1:
        kind = type(model).__name__
        raise ExportError(f"--shards and --cut are for an nn.Sequential, and this is a {kind}", hint="let the factory make "
                          "one of its parts: nn.Sequential(model.stem, model.body, nn.Flatten(1), model.head)")
    cut = chosen_cut(layers, images(TIMED_IMAGES), options)
    bounds = list(zip([0, *cut], [*cut, len(layers)]))
    with ExitStack() as files, torch.no_grad():
        runners: list[formats.Runner] = []
        passed = images(2)
        for number, (begin, end) in enumerate(bounds):
            part = torch.nn.Sequential(*layers[begin:end]).eval()
            partial = files.enter_context(written_whole(file_of(options.output, number)))
            formats.write_torchscript(part, passed, partial, options.method)
            runners.append(formats.load_torchscript(partial, options.device))
            passed = part(passed)

        def chain(batch: Any) -> Any:
            for runner in runners:
                batch = runner(batch)
            return batch

        check(chain)
    for number, (begin, end) in enumerate(bounds):
        held = sum(map(bytes_of, layers[begin:end]))
        which = f"layer {begin}" if end == begin + 1 else f"layers {begin} to {end - 1}"
        print(f"{file_of(options.output, number)}: {which} of {len(layers)}, {counted(held, 'byte')}")
    return [{"kind": "torchscript", "path": str(file_of(options.output, number))} for number in range(len(bounds))]
