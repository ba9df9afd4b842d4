"""Ensembles of FusionBench that Tutti computes: the same classes with the same arguments, inputs and outputs, with a
process for each model. The algorithms need the package fusion-bench; the modules need only torch.

    method:
      _target_: tutti.fusion_bench.SimpleEnsembleAlgorithm      # instead of fusion_bench.method.SimpleEnsembleAlgorithm
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import _fusion_calls as calls
from . import _fusion_pool as pool
from ._errors import UsageError
from ._fusion_state import content_of

if TYPE_CHECKING:
    from ._fusion_algorithms import MaxModelPredictorAlgorithm, SimpleEnsembleAlgorithm, WeightedEnsembleAlgorithm

_ALGORITHMS = ("SimpleEnsembleAlgorithm", "WeightedEnsembleAlgorithm", "MaxModelPredictorAlgorithm")
__all__ = ["EnsembleModule", "WeightedEnsembleModule", "MaxModelPredictor", *_ALGORITHMS]

MOST_FORMS = 4  # for which a module has workers at a time


def __getattr__(name: str) -> Any:
    if name not in _ALGORITHMS:
        raise AttributeError(f"module 'tutti.fusion_bench' has no attribute '{name}'")
    try:
        from . import _fusion_algorithms
    except ImportError as error:
        if (error.name or "").split(".")[0] != "fusion_bench":
            raise
        raise ImportError(f"tutti.fusion_bench.{name} needs FusionBench: pip install fusion-bench",
                          name="fusion_bench") from None
    return getattr(_fusion_algorithms, name)


class EnsembleModule(nn.Module):
    """The mean of what several models output, as `fusion_bench.models.wrappers.ensemble.EnsembleModule` computes it.

    With the first call, the models are traced (TorchScript) for inputs of this form, and a worker process is started for
    each; later calls of the same form only predict. If the models compute each sample by itself, a call may have any
    number of samples; otherwise each number of samples is a form of its own. The workers of the last 4 forms are kept.

    Parameters
    ----------
    models : list of torch.nn.Module
        Float32 models. They are copied for the workers, and kept as `model_list`.
    device_map : mapping, optional
        The device of each model by its place in the list: {0: "cuda:0", 1: 1}; one that it leaves out is on the CPU.
        Also Tutti's: {0: "cpu:0-3"}. Without it, each model is where it is.

    Raises
    ------
    UsageError
        From a call: if a model cannot be traced, also because a branch depends on values of the input; is not float32;
        or is in training mode with modules of dropout or batch normalisation; if an input requires a gradient; if a
        device does not exist.
    FailedError, Interrupted
        From a call, as from `tutti.Ensemble.predict`.

    Notes
    -----
    Outputs are tensors, dicts, tuples and lists of float32 tensors, and None, as in FusionBench, on the device of the
    first model. They have no gradients, and are computed as in evaluation mode, without autocast. Parameters, buffers
    and kinds of modules that change are noticed, because each call reads them all: the models are traced again. Other
    attributes that change are not noticed: call `close()`.

    Thread-safe. The workers end with the module, or with `close()`; a copy or a pickle of it starts its own.

    Examples
    --------
    >>> module = EnsembleModule([m0, m1], device_map={0: "cpu:0", 1: "cpu:1"})
    >>> logits = module(images)
    """

    _rule = "mean"

    def __init__(self, models: list[nn.Module], device_map: Mapping[int, Any] | None = None) -> None:
        super().__init__()
        self.model_list = nn.ModuleList(models)
        self.device_map = device_map
        self._making = threading.Lock()
        self._pools: dict[Any, pool.Pool] = {}
        self._made_of: Any = None
        if len(self.model_list) == 0:
            raise UsageError("an ensemble needs at least one model")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the models output for these arguments, combined.

        Parameters
        ----------
        *args, **kwargs
            What the models take: tensors of at most 6 axes, which may be in tuples, lists and dicts, and constants.
        """
        call = calls.Call.of(args, kwargs)
        self._check(call)
        return self._pool_for(call).predict(call, self._target())

    def _pool_for(self, call: calls.Call) -> pool.Pool:
        """One that is dropped here ends when the last call of it has ended."""
        of = self._state()
        with self._making:
            if of != self._made_of:
                self._pools.clear()
                self._made_of = of
            form = call.form if call.form in self._pools else call.whole_form
            found = self._pools.pop(form, None)
            if found is None:
                while len(self._pools) >= MOST_FORMS:
                    del self._pools[next(iter(self._pools))]
                found = pool.Pool(self._copies(), call, self._devices(), self._combine(), self._weights())
                form = call.form if found.batched else call.whole_form
            self._pools[form] = found  # the last: those that were not used for longest are in front
            return found

    def close(self) -> None:
        """Stops the workers; the next call traces the models as they are then, and starts others. Calls that run end
        with Interrupted."""
        with self._making:
            pools, self._pools = self._pools, {}
            self._made_of = None
        for one in pools.values():
            one.close()

    def _combine(self) -> dict[str, Any]:
        return {"rule": self._rule, "over": "values"}

    def _weights(self) -> list[float]:
        return [1.0] * len(self.model_list)

    def _state(self) -> Any:
        """Changes when a weight does, however it is written."""
        return content_of(self.model_list), self._weights(), str(self.device_map)

    def _check(self, call: calls.Call) -> None:
        if torch.is_grad_enabled() and any(one.requires_grad for one in call.tensors):
            raise UsageError("Tutti computes no gradients, and an input requires one", hint="pass tensor.detach()")
        changing = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
        for rank, model in enumerate(self.model_list):
            for name, one in model.named_modules():
                if one.training and isinstance(one, changing):
                    raise UsageError(f"model {rank} is in training mode",
                                     f"'{name}' is a {type(one).__name__}, which computes something else then",
                                     "call eval() of the ensemble")
            for name, one in [*model.named_parameters(), *model.named_buffers()]:
                if one.dtype.is_floating_point and one.dtype != torch.float32:
                    raise UsageError(f"model {rank} is not of float32, in which Tutti computes",
                                     f"'{name}' is of {one.dtype}", "call float() of the model")

    def _copies(self) -> list[nn.Module]:
        import copy

        return [copy.deepcopy(model).cpu().eval().requires_grad_(False) for model in self.model_list]

    def _devices(self) -> list[str]:
        if self.device_map is not None:
            return [calls.device_text(self.device_map.get(rank, "cpu")) for rank in range(len(self.model_list))]
        return [calls.device_text(calls.device_of(model)) for model in self.model_list]

    def _target(self) -> torch.device:
        if self.device_map is None:
            return calls.device_of(self.model_list[0])
        text = calls.device_text(self.device_map.get(0, "cpu"))
        return torch.device(text if text.startswith("cuda") else "cpu")

    def __getstate__(self) -> dict[str, Any]:
        return {name: one for name, one in self.__dict__.items() if name != "_making"} | {"_pools": {}, "_made_of": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._making = threading.Lock()


class WeightedEnsembleModule(EnsembleModule):
    """The weighted sum of what several models output, as FusionBench's class of this name computes it.

    Parameters
    ----------
    models : list of torch.nn.Module
        As for `EnsembleModule`.
    weights : list of float, torch.Tensor or numpy.ndarray
        One number per model, also negative. They are the buffer `weights`.
    normalize : bool
        Divide them by their sum.
    device_map : mapping, optional
        As for `EnsembleModule`.

    Raises
    ------
    UsageError
        If there are more or fewer weights than models, or if their sum is 0 and `normalize` divides by it.
    """

    _rule = "weighted"

    def __init__(self, models: list[nn.Module], weights: Iterable[float] | Tensor, normalize: bool = True,
                 device_map: Mapping[int, Any] | None = None) -> None:
        super().__init__(models, device_map)
        if isinstance(weights, (str, bytes, Mapping)) or not isinstance(weights, (Tensor, Iterable)):
            raise UsageError(f"weights are a {type(weights).__name__}", hint="pass a list of numbers: [0.3, 0.7]")
        found = weights if isinstance(weights, Tensor) else torch.as_tensor([float(one) for one in weights])
        if found.dim() != 1 or len(found) != len(models):
            raise UsageError(f"there are {len(models)} models, and weights of the shape {tuple(found.shape)}",
                             hint="pass a list with one number for each model")
        if normalize:
            if float(found.sum()) == 0:
                raise UsageError("the weights cannot be divided by their sum, which is 0",
                                 f"they are {found.tolist()}", "pass others, or normalize=False")
            found = found / found.sum()
        self.register_buffer("weights", found)

    def _combine(self) -> dict[str, Any]:
        return super()._combine() | {"normalize": False}

    def _weights(self) -> list[float]:
        return [float(one) for one in self.weights.tolist()]


class MaxModelPredictor(EnsembleModule):
    """The largest of what several models output, value by value, as FusionBench's class of this name computes it. The
    parameters are those of `EnsembleModule`."""

    _rule = "max"
