"""The classes of FusionBench that Tutti computes: the same outputs as torch has for the same inputs. Without FusionBench;
scripts/check-fusion-bench compares with it."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import OrderedDict

import numpy
import pytest

import tutti
from tutti import _core

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not _core.torch_version, reason="this build has no LibTorch backend")
fusion_bench = pytest.importorskip("tutti.fusion_bench")
nn = torch.nn


def nets(count: int = 3, sizes: tuple[int, int] = (6, 4)) -> list[nn.Module]:
    torch.manual_seed(5)
    return [nn.Sequential(nn.Linear(*sizes), nn.Tanh()) for _ in range(count)]


def stacked(models: list[nn.Module], *args, **kwargs) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([model(*args, **kwargs) for model in models])


def close_to(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5)


class Dicts(nn.Module):
    """As a model of transformers: takes names, and outputs what is in a mapping, a tuple and None."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, pixel_values=None, mask=None, scale=1, return_dict=True):
        rows = pixel_values.flatten(1) * self.factor * scale
        if mask is not None:
            rows = rows * mask
        return OrderedDict(logits=rows, hidden=(pixel_values + self.factor, [rows.sum(1)]), nothing=None)


class OverTheBatch(nn.Module):
    """What it computes for a sample depends on the others."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return (x - x.mean(0)) * self.factor


def test_mean_weighted_sum_and_maximum_are_those_of_torch():
    models = nets()
    x = torch.randn(10, 6)
    outputs = stacked(models, x)
    weights = torch.tensor([0.5, -1.0, 2.0])
    cases = [(fusion_bench.EnsembleModule(models), outputs.mean(0)),
             (fusion_bench.MaxModelPredictor(models), outputs.max(0).values),
             (fusion_bench.WeightedEnsembleModule(models, [0.5, -1, 2]),
              (outputs * (weights / weights.sum()).view(3, 1, 1)).sum(0)),
             (fusion_bench.WeightedEnsembleModule(models, weights.numpy(), normalize=False),
              (outputs * weights.view(3, 1, 1)).sum(0))]
    for module, wanted in cases:
        assert close_to(module(x), wanted) and not module(x).requires_grad
        module.close()


def test_calls_of_any_number_of_samples_share_the_workers_and_other_shapes_do_not():
    models = [nn.Conv2d(3, 2, 3, padding=1) for _ in range(2)]
    module = fusion_bench.EnsembleModule(models, device_map={0: "cpu:0"})
    for count in (4, 1, 7):
        x = torch.randn(count, 3, 8, 8)
        assert close_to(module(x), stacked(models, x).mean(0))
    assert len(module._pools) == 1
    assert [one.device for one in next(iter(module._pools.values()))._ensemble.status().members] == ["cpu:0", "cpu"]
    x = torch.randn(2, 3, 5, 5)
    assert close_to(module(x), stacked(models, x).mean(0)) and len(module._pools) == 2
    module.close()
    assert len(module._pools) == 0 and close_to(module(x), stacked(models, x).mean(0))


def test_a_call_without_samples_along_the_first_axis_is_one_sample():
    models = nets(2, (10, 1))
    module = fusion_bench.EnsembleModule(models)
    for _ in range(3):
        x = torch.randn(10)
        assert close_to(module(x), stacked(models, x).mean(0)) and module(x).dim() == 1
    across = [OverTheBatch(1.0), OverTheBatch(3.0)]
    module = fusion_bench.EnsembleModule(across)
    for count in (6, 5):
        x = torch.randn(count, 4)
        assert close_to(module(x), stacked(across, x).mean(0))


def test_names_constants_and_outputs_in_containers_are_those_of_the_models():
    models = [Dicts(1.0), Dicts(4.0)]
    module = fusion_bench.EnsembleModule(models)
    x = torch.randn(5, 1, 2, 2)
    found = module(pixel_values=x, scale=2)
    assert type(found) is OrderedDict and list(found) == ["logits", "hidden", "nothing"] and found["nothing"] is None
    assert close_to(found["logits"], x.flatten(1) * 5)
    assert type(found["hidden"]) is tuple and close_to(found["hidden"][0], x + 2.5)
    assert close_to(found["hidden"][1][0], x.flatten(1).sum(1) * 5)
    assert close_to(module(pixel_values=x, scale=4)["logits"], x.flatten(1) * 10)
    mask = torch.tensor([[0.0, 1, 1, 1]]).repeat(5, 1)
    assert close_to(module(x, mask)["logits"], x.flatten(1) * 2.5 * mask)


def test_weights_that_change_are_noticed_and_copies_have_their_own_workers():
    models = nets(2)
    module = fusion_bench.EnsembleModule(models)
    x = torch.randn(3, 6)
    before = module(x)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert close_to(other(x), before)
    with torch.no_grad():
        models[0][0].weight.mul_(-1)
    assert close_to(module(x), stacked(models, x).mean(0)) and not close_to(module(x), before)
    module.load_state_dict({name: one * 2 for name, one in module.state_dict().items()})
    assert close_to(module(x), stacked(models, x).mean(0))


class Branches(nn.Module):
    """Computes something else for some inputs: by their values, or by what does not depend on them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.factor = how, nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "branch" and x.sum() > 0:
            return x + 1
        if self.how == "view" and torch.zeros(3).copy_(x[0, :3]).tolist()[0] > 0:
            return x + 1
        if self.how == "sizes" and x.shape[1] > 2 and x.size(1) == x.numel() // len(x) and self.factor > 1:
            return x * self.factor.item()
        if self.how == "where":
            return torch.where(x > 0, x, -x)
        return x


def test_a_branch_that_depends_on_values_is_an_error_and_others_are_not():
    x = torch.randn(4, 6)
    for how in ("branch", "view"):
        with pytest.raises(tutti.UsageError, match="model 0 cannot be traced: what it computes depends on values") as caught:
            fusion_bench.EnsembleModule([Branches(how)])(x)
        assert "torch.where" in caught.value.hint
    for how in ("sizes", "where"):
        module = fusion_bench.EnsembleModule([Branches(how)])
        for one in (x, -x):
            assert close_to(module(one), Branches(how)(one).detach())


def test_weights_that_change_behind_the_back_of_torch_are_noticed():
    models = nets(2)
    module = fusion_bench.EnsembleModule(models)
    x = torch.randn(3, 6)

    def by_numpy() -> None:
        models[0][0].weight.detach().numpy()[0, 0] += 1

    def by_another_module() -> None:
        models[1][1] = nn.Sigmoid()

    for change in (lambda: models[0][0].weight.data.mul_(3), by_numpy, by_another_module):
        before = module(x)
        change()
        assert close_to(module(x), stacked(models, x).mean(0)) and not close_to(module(x), before)


def test_other_attributes_that_change_need_a_close():
    models = [Branches("sizes"), Branches("sizes")]
    module = fusion_bench.EnsembleModule(models)
    x = torch.randn(3, 6)
    assert close_to(module(x), x * 2)
    for model in models:
        model.how = "nothing"
    assert close_to(module(x), x * 2)
    module.close()
    assert close_to(module(x), x)


class Counts(nn.Module):
    def forward(self, x: torch.Tensor, array) -> torch.Tensor:
        return x + float(array.sum())


def test_constants_are_compared_by_content_and_only_some_forms_have_workers():
    module = fusion_bench.EnsembleModule([Counts()])
    x = torch.randn(3, 2)
    array = numpy.zeros(5000)
    for middle in range(3):
        array[2500] = middle  # repr() leaves it out
        assert close_to(module(x, array), x + middle)
    module.close()
    most = fusion_bench.MOST_FORMS
    for size in [*range(1, most + 1), 1, most + 1]:
        module(torch.randn(3, size), array)
    assert [form[1][1] for form in module._pools] == [(3,), (4,), (1,), (5,)]
    module.close()


def test_the_first_call_decides_neither_the_segment_nor_whether_samples_are_mixed():
    module = fusion_bench.EnsembleModule(nets(1))
    module(torch.randn(1, 6))
    (pool,) = module._pools.values()
    assert f"segment_images: {fusion_bench.pool.SEGMENT}" in pool._ensemble.yaml
    module.close()
    across = [OverTheBatch(1.0)]
    module = fusion_bench.EnsembleModule(across)
    for count in (1, 4):
        x = torch.randn(count, 4)
        assert close_to(module(x), stacked(across, x).mean(0))
    assert not any(pool.batched for pool in module._pools.values())


def test_workers_that_are_dropped_while_another_thread_predicts_end_after_it():
    models = nets(2)
    module = fusion_bench.EnsembleModule(models)
    x = torch.randn(3, 6)
    before = module(x)
    (pool,) = module._pools.values()
    started, go = threading.Event(), threading.Event()
    predict = pool.predict

    def late(*words):
        started.set()
        go.wait()
        return predict(*words)

    pool.predict = late
    found = []
    thread = threading.Thread(target=lambda: found.append(module(x)))
    thread.start()
    started.wait()
    models[0][0].weight.data.mul_(-1)
    assert close_to(module(x), stacked(models, x).mean(0))
    go.set()
    thread.join()
    assert close_to(found[0], before)


def test_infinite_values_are_those_of_torch():
    module = fusion_bench.EnsembleModule([nn.ReLU(), nn.Identity()])
    x = torch.tensor([[1.0, float("inf")], [float("nan"), -3.0]])
    assert torch.equal(module(x).isnan(), torch.tensor([[False, False], [True, False]]))
    assert module(x)[0, 1] == float("inf")


def test_what_tutti_does_not_compute_is_said():
    x = torch.randn(3, 6)
    net = nets(1)[0]
    cases = [([net.double()], x.double(), "an input is of torch.float64"),
             ([nets(1)[0].double()], x, "model 0 is not of float32"),
             ([nn.Dropout()], x, "model 0 is in training mode"),
             ([nets(1)[0]], x.clone().requires_grad_(), "Tutti computes no gradients"),
             ([nets(1)[0], nets(1, (6, 3))[0]], x, "model 1 outputs something of another form"),
             ([nn.Sequential(nn.Flatten(), nn.Linear(5, 1))], x, "model 0 cannot be traced"),
             ([nn.Embedding(9, 2)], "x", "called without a tensor")]
    for models, given, words in cases:
        with pytest.raises(tutti.UsageError, match=words) as caught:
            fusion_bench.EnsembleModule(models)(given)
        assert caught.value.hint
    with pytest.raises(tutti.UsageError, match="at least one model"):
        fusion_bench.EnsembleModule([])
    for weights, words in (([1.0], "there are 2 models"), ("ab", "weights are a str"), ([1, -1], "whose sum|which is 0")):
        with pytest.raises(tutti.UsageError, match=words):
            fusion_bench.WeightedEnsembleModule(nets(2), weights)
    with pytest.raises(tutti.UsageError, match="core 4095 does not exist"):
        fusion_bench.EnsembleModule(nets(1), device_map={0: "cpu:4095"})(x)


def test_algorithms_say_what_to_install():
    if pytest.importorskip("importlib.util").find_spec("fusion_bench") is not None:
        pytest.skip("SKIPPED: FusionBench is installed")
    with pytest.raises(ImportError, match="needs FusionBench: pip install fusion-bench"):
        fusion_bench.SimpleEnsembleAlgorithm
    with pytest.raises(AttributeError, match="no attribute 'Simple'"):
        fusion_bench.Simple
