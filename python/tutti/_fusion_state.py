"""What a trace of models depends on: the content of their weights, and that no step of theirs depends on a value."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_CONVERSIONS = {"__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__", "__contains__", "item",
                "tolist", "numpy", "is_nonzero", "equal", "allclose"}
_OF_SHAPES = {"size", "numel", "nelement", "dim", "stride", "__len__"}  # in a trace these are tensors, too
_MARK = "_tutti_depends_on_input"


def content_of(models: nn.ModuleList) -> Any:
    """Changes with any bit of a parameter or buffer, and with the kinds of the modules. Reads all of them."""
    kinds = tuple((name, type(one)) for name, one in models.named_modules())
    tensors = [*models.named_parameters(), *models.named_buffers()]
    return kinds, tuple((name, one.dtype, one.shape, one.device, _checksum(one)) for name, one in tensors)


def _checksum(tensor: Tensor) -> int:
    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return zlib.crc32(plain.view(torch.uint8).numpy()) if plain.numel() else 0


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors_in(one)
    elif isinstance(value, dict):
        yield from _tensors_in([*value.values()])


class DependsOnValues(Exception):
    """Of the name of a function that made a number."""


class Watch(TorchFunctionMode):
    """While a model is traced: raises DependsOnValues where it makes a number of Python of a value that depends on its
    inputs, because the trace would hold that number for all inputs. Sizes and weights may become numbers."""

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        for one in inputs:
            setattr(one, _MARK, True)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        depends = any(hasattr(one, _MARK) for one in _tensors_in([args, kwargs or {}]))
        if depends and name in _CONVERSIONS:
            raise DependsOnValues(name)
        result = func(*args, **(kwargs or {}))
        if depends and name not in _OF_SHAPES and not isinstance(result, torch.Size):
            for one in _tensors_in([result, args[0] if _is_in_place(name) else None, (kwargs or {}).get("out")]):
                setattr(one, _MARK, True)
        return result


def _is_in_place(name: str) -> bool:
    return name in ("__setitem__", "__set__") or (name.endswith("_") and not name.endswith("__")) or (
        name.startswith("__i") and name.endswith("__"))
