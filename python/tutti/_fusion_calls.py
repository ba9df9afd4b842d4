"""Calls of modules: which tensors are in the arguments, and how what several models output is taken apart and put
together again. Starts nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ._errors import UsageError

TYPES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.uint8: "uint8",
         torch.int32: "int32", torch.int64: "int64", torch.bool: "bool"}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a tensor was."""

    number: int


def taken_apart(value: Any, tensors: list[Tensor]) -> Any:
    """`value` with places instead of tensors, which are appended to `tensors`. Containers become tuples that say what
    they were, so that two results are equal if their values have the same form."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return Place(len(tensors) - 1)
    if isinstance(value, Mapping):
        return ("mapping", type(value), tuple((key, taken_apart(one, tensors)) for key, one in value.items()))
    if isinstance(value, (tuple, list)):
        return ("sequence", type(value), tuple(taken_apart(one, tensors) for one in value))
    return ("constant", type(value), value)


def put_together(form: Any, tensors: list[Tensor]) -> Any:
    """The reverse, with other tensors."""
    if isinstance(form, Place):
        return tensors[form.number]
    what, kind, parts = form
    if what == "mapping":
        return kind(**dict_of(parts, tensors)) if dataclasses.is_dataclass(kind) else kind(dict_of(parts, tensors))
    if what == "sequence":
        items = [put_together(one, tensors) for one in parts]
        return kind(*items) if hasattr(kind, "_fields") else kind(items)
    return parts


def dict_of(parts: tuple[tuple[Any, Any], ...], tensors: list[Tensor]) -> dict[Any, Any]:
    return {key: put_together(one, tensors) for key, one in parts}


def outputs_of(output: Any, tensors: list[Tensor]) -> Any:
    """The form of what a model outputs, as FusionBench aggregates it: a list becomes a tuple."""
    if isinstance(output, Tensor):
        tensors.append(output)
        return Place(len(tensors) - 1)
    if isinstance(output, dict):
        return ("mapping", type(output), tuple((key, outputs_of(one, tensors)) for key, one in output.items()))
    if isinstance(output, (tuple, list)):
        return ("sequence", tuple, tuple(outputs_of(one, tensors) for one in output))
    if output is None:
        return ("constant", type(None), None)
    raise UsageError(f"a model outputs a {type(output).__name__}, which cannot be combined",
                     hint="output tensors, dicts, tuples or lists of them, or None")


def aggregated(form: Any, tensors: list[Tensor]) -> Any:
    """An output of this form."""
    if isinstance(form, tuple) and form[0] == "mapping":
        result = form[1]()
        for key, one in form[2]:
            result[key] = aggregated(one, tensors)
        return result
    if isinstance(form, tuple) and form[0] == "sequence":
        return tuple(aggregated(one, tensors) for one in form[2])
    return put_together(form, tensors)


def _text_of(form: Any) -> str:
    """Of a form that was taken apart. Arrays of NumPy by content, other constants by their repr()."""
    if isinstance(form, Place):
        return repr(form)
    what, kind, parts = form
    if what == "constant":
        text = f"{parts.dtype} {parts.shape} {parts.tobytes()!r}" if hasattr(parts, "tobytes") else repr(parts)
    elif what == "mapping":
        text = ", ".join(f"{key!r}: {_text_of(one)}" for key, one in parts)
    else:
        text = ", ".join(map(_text_of, parts))
    return f"{what} {kind} ({text})"


class Call:
    """The arguments of a call.

    Attributes
    ----------
    tensors : list of torch.Tensor
        In the order of the arguments.
    form, whole_form
        What calls have in common for which one trace of the models serves: if the models compute each sample by itself,
        and if they do not.
    """

    def __init__(self, arguments: Any, tensors: list[Tensor]) -> None:
        self.arguments, self.tensors = arguments, tensors
        shapes = [(one.dtype, tuple(one.shape)) for one in tensors]
        text = _text_of(arguments)  # constants need not be hashable
        self.whole_form = (text, "whole", *shapes)
        self.form = (text, *((dtype, shape[1:]) for dtype, shape in shapes))

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Raises UsageError if there is no tensor in the arguments, or one that Tutti does not take."""
        tensors: list[Tensor] = []
        found = cls(taken_apart((args, kwargs), tensors), tensors)
        if not tensors:
            raise UsageError("the models are called without a tensor", hint="pass the samples as a tensor")
        for one in tensors:
            if one.dtype not in TYPES:
                raise UsageError(f"an input is of {one.dtype}, which Tutti does not take", hint="pass tensor.float()")
        return found

    def with_tensors(self, tensors: list[Tensor]) -> Call:
        return Call(self.arguments, tensors)

    def apply(self, model: nn.Module, tensors: list[Tensor]) -> Any:
        args, kwargs = put_together(self.arguments, tensors)
        return model(*args, **kwargs)

    def count(self) -> int | None:
        """The number of samples, if all tensors have them along the first axis; else None."""
        counts = {one.shape[0] if one.dim() > 0 else None for one in self.tensors}
        return counts.pop() if len(counts) == 1 else None


def device_of(model: nn.Module) -> torch.device:
    """Where the weights are."""
    for one in [*model.parameters(), *model.buffers()]:
        return one.device
    return torch.device("cpu")


def device_text(device: Any) -> str:
    """As torch means it: 1 is the second GPU."""
    text = str(device)
    if text.isdecimal():
        return f"cuda:{text}"
    return "cuda:0" if text == "cuda" else text
