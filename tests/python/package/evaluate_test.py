"""Evaluations of an ensemble that runs. The figures themselves are tested in C++, against those of the program."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import numpy
import pytest
from conftest import described, hanging, images, run_python

import tutti


def labels(count: int = 40, classes: int = 5) -> numpy.ndarray:
    return numpy.random.default_rng(2).integers(0, classes, count)


@pytest.fixture(scope="module")
def report(shared) -> tutti.Report:
    return shared.evaluate(images(40), labels(), rules=["mean", "vote"])


def test_figures_are_those_of_the_predictions(shared, report):
    p = shared.predict(images(40))
    assert [(score.name, score.role) for score in report.scores] == [
        ("a", "member"), ("b", "member"), ("mean", "ensemble"), ("vote", "ensemble")]
    assert report["mean"]["accuracy"] == (p.predicted == labels()).mean()
    for name, values in p.members.items():
        assert report[name]["accuracy"] == (values.argmax(1) == labels()).mean()
    expected = -numpy.log(p.values[numpy.arange(40), labels()].astype(float)).mean()
    assert report["mean"]["loss"] == pytest.approx(expected, rel=1e-5)
    assert [*report["vote"].figures] == ["accuracy", "loss", "calibration_error"]
    assert report.samples == report["a"].samples == 40 and report.seconds > 0 and report.incomplete == []
    assert 0 <= report.disagreement["dissent"] <= 1
    with pytest.raises(KeyError, match="'median'; there are a, b, mean, vote"):
        report["median"]


def test_labels_of_any_kind_of_array_are_taken(shared, report):
    torch = pytest.importorskip("torch")
    for given in (labels().astype("uint8"), labels().astype("int32"), labels().tolist(), torch.from_numpy(labels()),
                  numpy.repeat(labels(), 2)[::2]):
        found = shared.evaluate(images(40), given, rules="mean,vote")
        assert [score.figures for score in found.scores] == [score.figures for score in report.scores]
    assert [score.name for score in shared.evaluate(images(40), labels()).scores] == ["a", "b", "mean"]


def test_masks_numbers_and_several_labels_have_their_own_figures(opened):
    masks = described()
    for member in masks["members"]:
        member["model"]["per_class"] = [2, 3]
    given = numpy.random.default_rng(3).integers(0, 5, (12, 2, 3))
    ensemble = opened(masks)
    found = ensemble.evaluate(images(12), given)
    right = (ensemble.predict(images(12)).predicted == given).mean()
    assert found["mean"]["pixel_accuracy"] == pytest.approx(right)
    assert found.disagreement is None and "mean_iou" in found["mean"].figures
    assert len(next(iter(found["mean"].lists.values()))) == 5
    given[0, 0, 0] = 255
    with pytest.raises(tutti.UsageError, match="cannot be compared"):
        ensemble.evaluate(images(12), given)
    assert ensemble.evaluate(images(12), given, ignore_index=255)["a"].samples == 12
    numbers = described(combine={"rule": "mean", "over": "values"})
    for member in numbers["members"]:
        member["output"] = "values"
    wanted = numpy.random.default_rng(4).random((12, 5))
    ensemble = opened(numbers)
    found = ensemble.evaluate(images(12), wanted)
    error = numpy.abs(ensemble.predict(images(12)).values - wanted).mean()
    assert found["mean"]["mean_absolute_error"] == pytest.approx(error, rel=1e-4)
    assert ensemble.evaluate(images(12), numpy.ones((12, 5), int))["mean"]["mean_absolute_error"] > 0
    several = opened(described(combine={"rule": "mean", "activation": "sigmoid"}))
    found = several.evaluate(images(12), wanted > 0.5)
    assert 0 <= found["mean"]["macro_f1"] <= 1 and "labels" in str(found.json)


def test_a_report_is_shown_as_a_table(report):
    assert repr(report) == "<tutti.Report of 4 models and rules, 40 samples>"
    assert str(report).startswith("model") and "ensemble vote" in str(report) and "dissent" in str(report)
    shown = report._repr_html_()
    assert shown.startswith("<table><tr><th>model</th><th>accuracy</th>") and "<b>vote</b> (ensemble)" in shown
    assert "40 samples; the members disagree on" in shown


def test_frames_and_plots_need_their_packages(report, monkeypatch):
    for module, call in (("pandas", report.frame), ("matplotlib", report.plot)):
        for name in [name for name in sys.modules if name == module or name.startswith(module + ".")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(tutti.UsageError, match=f"needs {module}, which is not installed") as caught:
            call()
        assert caught.value.hint == f"pip install {module}"


def test_a_frame_has_a_row_for_each_model_and_rule(report):
    pandas = pytest.importorskip("pandas")
    frame = report.frame()
    assert isinstance(frame, pandas.DataFrame) and list(frame.index) == ["a", "b", "mean", "vote"]
    assert frame.loc["mean", "accuracy"] == report["mean"]["accuracy"] and frame.loc["a", "role"] == "member"


def test_a_plot_has_a_bar_for_each_model_and_rule(report):
    pytest.importorskip("matplotlib").use("Agg")
    axes = report.plot()
    assert [bar.get_height() for bar in axes.patches] == [score["accuracy"] for score in report.scores]
    assert report.plot("loss", axes=axes) is axes and axes.get_ylabel() == "loss"
    with pytest.raises(tutti.UsageError, match="no model has the figure 'mean_iou'"):
        report.plot("mean_iou")


def write_head(file: Path, weight: numpy.ndarray) -> None:
    weight = weight.astype("<f4")
    header = json.dumps({"weight": {"dtype": "F32", "shape": weight.shape, "data_offsets": [0, weight.nbytes]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + weight.tobytes())


def test_features_are_evaluated_behind_a_head(opened, tmp_path):
    features = described(combine={"rule": "mean", "over": "features"})
    for member in features["members"]:
        member["output"] = "features"
    ensemble = opened(features)
    weight = numpy.random.default_rng(6).normal(size=(3, 5)).astype(numpy.float32)
    write_head(tmp_path / "head.safetensors", weight)
    found = ensemble.evaluate(images(40), labels(classes=3), rules="mean,vote", head=tmp_path / "head.safetensors")
    right = ((ensemble.predict(images(40)).values @ weight.T).argmax(1) == labels(classes=3)).mean()
    assert found["mean"]["accuracy"] == pytest.approx(right, abs=0.026)  # sums in another order may turn one image
    with pytest.raises(tutti.UsageError, match="features cannot be evaluated without classes"):
        ensemble.evaluate(images(40), labels(classes=3))


def test_what_cannot_be_evaluated_is_said(shared, opened):
    for given, options, words in (
            (labels()[:, None], {}, "the labels are a column"), (labels(3), {}, "samples and labels differ in number"), (labels() - 1, {}, "not a class"),
            (labels(classes=9), {}, "but 'a' outputs 5"), (labels() / 2, {}, "are compared with predicted probabilities"),
            (["a"] * 40, {}, "the labels are list of"), (None, {}, "the labels are NoneType"),
            ([[1], [1, 2]], {}, "the labels are not an array"), (labels(), {"rules": "mena"}, "mena"),
            (labels(), {"rules": ["mean", "mean"]}, "mean")):
        with pytest.raises(tutti.UsageError, match=words):
            shared.evaluate(images(40), given, **options)
    with pytest.raises(tutti.UsageError, match="a head cannot be applied to probabilities"):
        shared.evaluate(images(40), labels(), head="head.safetensors")
    with pytest.raises(tutti.UsageError, match="one sample"):
        shared.evaluate(images(1)[0], labels(1))
    with pytest.raises(tutti.UsageError, match="with a 'cascade' cannot be evaluated"):
        opened(described(cascade={"when": {"confidence_below": 0.5}, "then": ["b"]})).evaluate(images(40), labels())
    with pytest.raises(tutti.UsageError, match="encoded pictures cannot be evaluated"):
        opened(described(input={"resize": 4})).evaluate([b"x"], labels(1))


def test_closing_ends_an_evaluation(opened):
    ensemble = opened(hanging())
    errors = []

    def evaluate() -> None:
        with pytest.raises(tutti.Error) as caught:
            ensemble.evaluate(images(40), labels())
        errors.append(caught.value)

    thread = threading.Thread(target=evaluate)
    thread.start()
    while ensemble.status().input_bytes_copied == 0:
        pass
    ensemble.close()
    thread.join()
    assert isinstance(errors[0], tutti.Interrupted)
    assert errors[0].message == "the ensemble was closed before this call finished"


def test_ctrl_c_gives_an_evaluation_up_and_leaves_the_ensemble():
    found = run_python("""
        import os, signal, threading, numpy, tutti
        from conftest import described, images
        with tutti.Ensemble(described(delay_ms=20)) as ensemble:
            def send():
                while ensemble.status().input_bytes_copied == 0:
                    pass
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=send).start()
            try:
                ensemble.evaluate(images(20_000), numpy.zeros(20_000, int))
            except KeyboardInterrupt:
                print("interrupted", len(ensemble.predict(images(3))))
    """)
    assert found.stdout == "interrupted 3\n" and found.returncode == 0, found.stderr


def test_ctrl_c_gives_an_evaluation_up_while_a_worker_hangs():
    found = run_python("""
        import os, signal, threading, numpy, tutti
        from conftest import hanging, images
        with tutti.Ensemble(hanging()) as ensemble:
            def send():
                while ensemble.status().input_bytes_copied == 0:
                    pass
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=send).start()
            try:
                ensemble.evaluate(images(40), numpy.zeros(40, int))
            except KeyboardInterrupt:
                print("interrupted")
    """)
    assert found.stdout == "interrupted\n" and found.returncode == 0, found.stderr
