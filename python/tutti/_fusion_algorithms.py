"""The algorithms of FusionBench that make ensembles, with Tutti's modules. Needs fusion-bench."""

from __future__ import annotations

from typing import Any

import fusion_bench.method as original
from fusion_bench.modelpool import BaseModelPool
from torch import nn

from .fusion_bench import EnsembleModule, MaxModelPredictor, WeightedEnsembleModule


def _models_of(modelpool: BaseModelPool | list[nn.Module]) -> list[nn.Module]:
    pool = modelpool if isinstance(modelpool, BaseModelPool) else BaseModelPool(models=modelpool)
    return [pool.load_model(name) for name in pool.model_names]


class SimpleEnsembleAlgorithm(original.SimpleEnsembleAlgorithm):
    """`fusion_bench.method.SimpleEnsembleAlgorithm` whose ensemble Tutti computes.

    Parameters
    ----------
    device_map : mapping, optional
        As for `tutti.fusion_bench.EnsembleModule`.
    """

    def run(self, modelpool: BaseModelPool | list[nn.Module]) -> EnsembleModule:
        """The ensemble of the models of a pool, or of a list."""
        return EnsembleModule(_models_of(modelpool), device_map=self.device_map)


class WeightedEnsembleAlgorithm(original.WeightedEnsembleAlgorithm):
    """`fusion_bench.method.WeightedEnsembleAlgorithm` whose ensemble Tutti computes.

    Parameters
    ----------
    normalize : bool
        Divide the weights by their sum.
    weights : list of float, optional
        One for each model; without it, all are the same.
    """

    def run(self, modelpool: BaseModelPool | list[nn.Module]) -> WeightedEnsembleModule:
        """The ensemble of the models of a pool, or of a list."""
        models = _models_of(modelpool)
        weights: Any = [1 / len(models)] * len(models) if self.weights is None else self.weights
        return WeightedEnsembleModule(models, weights, normalize=self.config.get("normalize", True))


class MaxModelPredictorAlgorithm(original.MaxModelPredictorAlgorithm):
    """`fusion_bench.method.MaxModelPredictorAlgorithm` whose ensemble Tutti computes."""

    def run(self, modelpool: BaseModelPool | list[nn.Module]) -> MaxModelPredictor:
        """The ensemble of the models of a pool, or of a list."""
        return MaxModelPredictor(_models_of(modelpool))


for _one in (SimpleEnsembleAlgorithm, WeightedEnsembleAlgorithm, MaxModelPredictorAlgorithm):
    _one.__module__ = "tutti.fusion_bench"  # where configurations find it
