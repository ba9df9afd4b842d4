"""An ensemble of traced models for calls of one form."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import Ensemble  # first: where the compiled library is missing, this says what to install
from . import _ensemble
from ._errors import UsageError
from ._fusion_calls import TYPES, Call, aggregated, outputs_of
from ._fusion_state import DependsOnValues, Watch

TOLERANCE = 1e-4  # of a trace, relative to the largest value of the model if that is above 1
SEGMENT = 128  # samples, whatever the first call has
SEGMENT_BYTES = 64 << 20  # but not more than this, of the inputs and of the outputs of a model

_tracing = threading.Lock()  # warnings are switched off for all threads meanwhile


class _Row(nn.Module):
    """A model that outputs a row for each sample, or one row for the whole call: all its output tensors."""

    def __init__(self, model: nn.Module, call: Call, batched: bool) -> None:
        super().__init__()
        self.model, self.call, self.batched = model, call, batched
        self.form: Any = None
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, *tensors: Tensor) -> Tensor:
        given = [*tensors] if self.batched else [one[0] for one in tensors]
        outputs: list[Tensor] = []
        with Watch(given) if torch.jit.is_tracing() else contextlib.nullcontext():
            found = self.call.apply(self.model, given)
        self.form = outputs_of(found, outputs)
        if not outputs or any(one.dtype != torch.float32 for one in outputs):
            raise UsageError("a model outputs " + (f"tensors of {', '.join(str(one.dtype) for one in outputs)}"
                                                   if outputs else "no tensor"),
                             hint="Tutti combines tensors of float32")
        self.shapes = [tuple(one.shape) for one in outputs]
        if self.batched:
            return torch.cat([one.flatten(1) if one.dim() > 1 else one.unsqueeze(1) for one in outputs], 1)
        return torch.cat([one.reshape(1, -1) for one in outputs], 1)


def _agree(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    limit = TOLERANCE * max(1.0, float(expected.abs().max()) if expected.numel() else 1.0)
    return bool(torch.allclose(found, expected, rtol=0, atol=limit, equal_nan=True))


def _another(one: Tensor) -> Tensor:
    """A sample that differs, so that a model that mixes samples gives itself away."""
    turned = one.flip([*range(one.dim())])
    return turned * 0.5 + 0.5 if one.dtype.is_floating_point else turned


def _part_of(tensors: list[Tensor], count: int) -> tuple[list[Tensor], int]:
    """Samples in another number, of which the first are those of `tensors`, and how many of them."""
    if count == 1:
        return [torch.cat([one, _another(one)]) for one in tensors], 1
    return [one[: count // 2] for one in tensors], count // 2


def _is_by_samples(row: _Row, tensors: list[Tensor], count: int | None, module: Any) -> bool:
    """Whether `module`, which computes what `row` does, computes each sample by itself: then the same for a part of
    them."""
    if not count:
        return False
    part, same = _part_of(tensors, count)
    try:
        whole = module(*tensors)
        fits = all(len(shape) > 0 and shape[0] == count for shape in row.shapes)
        return fits and _agree(module(*part)[:same], whole[:same])
    except UsageError:
        raise
    except Exception:
        return False


class Pool:
    """The ensemble, and the files of its models.

    Attributes
    ----------
    batched : bool
        The models compute each sample by itself, so it takes calls of any number of samples.

    Notes
    -----
    The workers and the files end when nothing refers to it any more: also not a call that another thread makes.
    """

    def __init__(self, models: list[nn.Module], call: Call, devices: list[str], combine: dict[str, Any],
                 weights: list[float]) -> None:
        """Traces the models, which are on the CPU and in evaluation mode, and starts the workers. Raises Error."""
        folder = Path(tempfile.mkdtemp(prefix="tutti-"))
        self._remove = weakref.finalize(self, _ensemble._remove_folder, folder, os.getpid())
        try:
            with _tracing:
                self._trace(models, call, folder)
            self._ensemble = Ensemble(self._description(call, folder, devices, combine, weights))
        except BaseException:
            self._remove()
            raise

    @torch.no_grad()
    def _trace(self, models: list[nn.Module], call: Call, folder: Path) -> None:
        given = [one.detach().cpu().contiguous() for one in call.tensors]
        count = call.count()
        rows = [_Row(model, call, batched=True) for model in models]
        self.batched = all(_is_by_samples(row, given, count, row) for row in rows)
        traced = [_traced(rank, row, given) for rank, row in enumerate(rows)] if self.batched else []
        if not all(_is_by_samples(row, given, count, one) for row, one in zip(rows, traced)):
            self.batched = False  # a trace holds the number of samples as a constant
        if not self.batched:
            given = [one[None] for one in given]
            rows = [_Row(model, call, batched=False) for model in models]
            traced = [_traced(rank, row, given) for rank, row in enumerate(rows)]
        for rank, (row, one) in enumerate(zip(rows, traced)):
            expected = row(*given)
            if not _agree(one(*given), expected):
                raise UsageError(f"model {rank} cannot be traced: the trace computes something else",
                                 hint="make it compute the same for the same input, without random numbers")
            if row.form != rows[0].form or [*map(self._tail, row.shapes)] != [*map(self._tail, rows[0].shapes)]:
                raise UsageError(f"model {rank} outputs something of another form than model 0",
                                 f"{row.shapes} instead of {rows[0].shapes}", "combine models with the same outputs")
            torch.jit.save(one, folder / f"m{rank}.pt")
        self._form, self._shapes = rows[0].form, rows[0].shapes

    def _tail(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[1:] if self.batched else shape

    def _description(self, call: Call, folder: Path, devices: list[str], combine: dict[str, Any],
                     weights: list[float]) -> dict[str, Any]:
        names = [f"x{place}" for place in range(len(call.tensors))]
        members: list[dict[str, Any]] = [
            {"name": f"m{rank}", "model": {"kind": "torchscript", "path": str(folder / f"m{rank}.pt")},
             "output": "values", "takes": names} for rank in range(len(devices))]
        if combine["rule"] == "weighted":
            for member, weight in zip(members, weights):
                member["weight"] = weight
        given = [(one.element_size(), self._tail(tuple(one.shape))) for one in call.tensors]
        sample = max(sum(size * torch.Size(shape).numel() for size, shape in given),
                     sum(4 * torch.Size(self._tail(shape)).numel() for shape in self._shapes))
        size = max(1, min(SEGMENT, SEGMENT_BYTES // max(1, sample))) if self.batched else 1
        return {"members": members, "assignment": devices, "combine": combine, "on_nan": "allow",
                "input": {"inputs": {name: {"shape": list(self._tail(tuple(one.shape))), "dtype": TYPES[one.dtype]}
                                     for name, one in zip(names, call.tensors)}},
                "segment_images": size, "batch_images": size}

    @torch.no_grad()
    def predict(self, call: Call, target: torch.device) -> Any:
        """What the call gives, on the device `target`."""
        given = [one.detach().cpu().contiguous() for one in call.tensors]
        samples = {f"x{place}": one if self.batched else one[None] for place, one in enumerate(given)}
        values = torch.from_numpy(self._ensemble.predict(samples).values)
        count = values.shape[0]
        outputs = []
        first = 0
        for shape in self._shapes:
            tail = self._tail(shape)
            width = int(torch.Size(tail).numel())
            part = values[:, first : first + width]
            outputs.append(part.reshape((count, *tail) if self.batched else tail).to(target))
            first += width
        return aggregated(self._form, outputs)

    def close(self) -> None:
        self._ensemble.close()
        self._remove()


def _traced(rank: int, row: _Row, given: list[Tensor]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes that become constants: the results are compared
            return torch.jit.trace(row, tuple(given), check_trace=False, strict=False)
    except UsageError:
        raise
    except DependsOnValues as error:
        raise UsageError(f"model {rank} cannot be traced: what it computes depends on values of its input",
                         f"it makes a number or an array of a tensor ({error}), as 'if x.sum() > 0:' does",
                         "compute both ways, and choose by torch.where") from None
    except Exception as error:
        from .export.errors import first_line

        raise UsageError(f"model {rank} cannot be traced", first_line(error),
                         "call it with tensors and constants only, as torch.jit.trace can follow") from error
