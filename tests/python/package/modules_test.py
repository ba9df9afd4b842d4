"""Ensembles that are made of modules of torch, and of their files."""

from __future__ import annotations

import numpy
import pytest

import tutti
from tutti import _core, _modules
from tutti.export import formats
from tutti.export.errors import ExportError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not _core.torch_version, reason="this build has no LibTorch backend")

SHAPE = (3, 8, 8)


class Net(torch.nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
                                          torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(4 * 36, 5))

    def forward(self, images):
        return self.layers(images)


def images(count: int = 10) -> numpy.ndarray:
    return numpy.random.default_rng(3).random((count, *SHAPE), dtype=numpy.float32)


def mean_of(nets: list, given: numpy.ndarray) -> numpy.ndarray:
    with torch.no_grad():
        return torch.stack([net.eval()(torch.from_numpy(given)).softmax(1) for net in nets]).mean(0).numpy()


def test_modules_predict_as_they_do_in_torch_and_stay_as_they_are(capfd):
    nets = [Net(0), Net(1)]
    with tutti.Ensemble.from_modules(nets, shape=SHAPE, device_map={0: "cpu:0", 1: "cpu"}, format="pt",
                                     batch_images=4) as ensemble:
        folder = ensemble.exports[0].file.parent
        assert all(net.training for net in nets)
        assert numpy.allclose(ensemble.predict(images()).values, mean_of(nets, images()), atol=1e-5)
        assert [one.format for one in ensemble.exports] == ["pt", "pt"] and folder.is_dir()
        assert all(one.difference < 1e-4 for one in ensemble.exports)
        assert [member.device for member in ensemble.status().members] == ["cpu:0", "cpu"]
    assert not folder.exists()
    assert "tutti: m1: exported as .pt, largest difference to the module" in capfd.readouterr().err


def test_files_stay_in_a_folder_that_was_named_and_make_an_ensemble_again(tmp_path):
    nets = {"first": Net(0), "second": Net(1)}
    with tutti.Ensemble.from_modules(nets, example=images(2), format="pt", folder=tmp_path / "nets") as ensemble:
        expected = ensemble.predict(images()).values
    files = sorted((tmp_path / "nets").iterdir())
    assert [file.name for file in files] == ["first.pt", "second.pt"]
    with tutti.Ensemble.from_files(files, shape=SHAPE, defaults={"output": "logits"}) as ensemble:
        assert [member.name for member in ensemble.status().members] == ["first", "second"]
        assert numpy.array_equal(ensemble.predict(images()).values, expected)


def test_torchscript_is_taken_where_a_package_cannot_be_made_and_the_reason_is_said(monkeypatch):
    def fail(*words):
        raise ExportError("torch.export cannot export the model: because")

    monkeypatch.setattr(formats, "write_package", fail)
    monkeypatch.setattr(_modules.shutil, "which", lambda name: "/usr/bin/c++")
    with tutti.Ensemble.from_modules([Net(0)], shape=SHAPE, device_map="cpu") as ensemble:
        one = ensemble.exports[0]
        assert one.format == "pt" and one.reason == "torch.export cannot export the model: because"
        assert str(one).endswith("(not as .pt2: torch.export cannot export the model: because)")
    with pytest.raises(tutti.UsageError, match="m0 cannot be exported: torch.export cannot"):
        tutti.Ensemble.from_modules([Net(0)], shape=SHAPE, format="pt2")


def test_packages_are_the_first_choice_on_the_cpu_if_there_is_a_compiler(monkeypatch):
    monkeypatch.setattr(_modules.shutil, "which", lambda name: "/usr/bin/c++")
    assert _modules.formats_to_try("auto", "cpu") == (["pt2", "pt"], "")
    assert _modules.formats_to_try("pt", None) == (["pt"], "")
    monkeypatch.setattr(_modules.shutil, "which", lambda name: None)
    assert _modules.formats_to_try("auto", "cpu") == (["pt"], "there is no C++ compiler")
    with pytest.raises(tutti.UsageError, match="there is no format 'onnx'"):
        _modules.formats_to_try("onnx", None)


def test_what_cannot_be_made_into_an_ensemble_is_said():
    for modules, options, words in (
            ([], {"shape": SHAPE}, "at least one module"),
            ([3], {"shape": SHAPE}, "m0 is a int, not a torch.nn.Module"),
            ([Net(0)], {}, "the shape of the samples is not known"),
            ([Net(0)], {"shape": (3, 8)}, r"whose shape is \(channels, height, width\)"),
            ([Net(0)], {"shape": (3, 9, 9)}, "m0 cannot be exported: the model fails on two images of 3x9x9")):
        with pytest.raises(tutti.UsageError, match=words):
            tutti.Ensemble.from_modules(modules, format="pt", **options)


def test_a_mistake_in_the_description_is_found_before_anything_is_exported(monkeypatch, tmp_path):
    def export(*words, **more):
        raise AssertionError("it was exported")

    monkeypatch.setattr(_modules, "export", export)
    with pytest.raises(tutti.UsageError, match="segmnt"):
        tutti.Ensemble.from_modules([Net(0)], shape=SHAPE, segmnt=3)
    with pytest.raises(tutti.UsageError, match="nowhere"):
        tutti.Ensemble.from_modules([Net(0)], shape=SHAPE, device_map="nowhere", folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_module_that_an_export_changes_is_rejected():
    class Changing(torch.nn.Module):
        def forward(self, batch):
            return batch.flatten(1)[:, :3] + batch.shape[0] if torch.jit.is_tracing() else batch.flatten(1)[:, :3]

    with pytest.raises(tutti.FailedError, match="m0 cannot be exported"):
        tutti.Ensemble.from_modules([Changing()], shape=SHAPE, format="pt")
