"""What is said about mistakes: each message names the thing and says what to do."""

from __future__ import annotations

import numpy
import pytest
from conftest import SHAPE, described, images

import tutti
from tutti import _description, _environment, _modules


def refused(ensemble: tutti.Ensemble, samples: object) -> tutti.UsageError:
    """The same error from all calls that take samples."""
    with pytest.raises(tutti.UsageError) as of_submit:
        ensemble.submit(samples)
    with pytest.raises(tutti.UsageError) as of_predict:
        ensemble.predict(samples)
    assert str(of_submit.value) == str(of_predict.value)
    return of_predict.value


def test_errors_are_also_those_of_python():
    assert issubclass(tutti.UsageError, ValueError) and issubclass(tutti.FailedError, RuntimeError)
    error = tutti.UsageError("a", "b", "c")
    assert str(error) == "a\n  detail: b\n  hint: c" and (error.message, error.detail, error.hint) == ("a", "b", "c")
    assert str(tutti.Interrupted("a")) == "a"


def test_errors_of_exports_are_errors_of_the_package():
    from tutti.export.errors import DoesNotAgree, ExportError

    assert issubclass(ExportError, tutti.Error)
    error = DoesNotAgree("a", "b", "c")
    assert str(error) == "a\n  detail: b\n  hint: c" and error.exit_code == 1


def test_no_samples_and_settings_that_are_no_numbers_are_said(shared):
    error = refused(shared, None)
    assert error.message == "the samples are not an array" and error.detail == "NoneType"
    for timeout in ("1", float("nan"), [1]):
        for call in (shared.predict, shared.submit):
            with pytest.raises(tutti.UsageError) as caught:
                call(images(1), timeout=timeout)
            assert caught.value.message == f"timeout is a number of seconds, not {timeout!r}"
            assert "or None" in caught.value.hint
    for priority in ("high", 1.5, None):
        with pytest.raises(tutti.UsageError) as caught:
            shared.submit(images(1), priority=priority)
        assert caught.value.message == f"priority is a whole number, not {priority!r}"
    assert len(shared.predict(images(1), timeout=numpy.float32(60))) == 1


def test_samples_of_another_shape_are_rejected(shared):
    error = refused(shared, numpy.zeros((2, 3, 5, 4), numpy.float32))
    assert error.message == "the samples are 3x5x4 each, and the ensemble takes 3x4x4"
    assert error.detail == "the shape of the array is 2x3x5x4"


def test_one_sample_needs_an_axis_in_front(shared):
    error = refused(shared, images(1)[0])
    assert error.message == "the array is one sample and not an array of samples"
    assert error.hint == "put an axis in front: array[None]"


def test_channels_at_the_end_are_rejected_with_the_call_that_moves_them(opened):
    ensemble = opened(described(input={"shape": [3, 4, 6]}))
    error = refused(ensemble, numpy.zeros((2, 4, 6, 3), numpy.float32))
    assert "the channels are the last axis" in error.detail
    assert "numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))" in error.hint


def test_values_of_another_type_are_rejected_with_the_call_that_converts_them(shared):
    error = refused(shared, images(2).astype(numpy.float64))
    assert error.message == "the samples have a type of values that Tutti does not take"
    assert error.detail == "float64" and "array.astype('float32')" in error.hint
    error = refused(shared, images(2).astype(numpy.float16))
    assert error.message == "the samples are 3x4x4 of float16, and the ensemble takes float32"
    assert "array.astype('float32') or tensor.to(torch.float32)" in error.hint
    assert "complex64" in refused(shared, images(2).astype(numpy.complex64)).detail


def test_values_in_another_byte_order_are_rejected(shared):
    error = refused(shared, images(2).astype(">f4"))
    assert error.message == "the samples do not give their memory away" and "native byte order" in error.detail


def test_arrays_with_gaps_or_in_another_order_are_rejected_with_the_call_that_copies_them(shared):
    wide = numpy.zeros((4, 3, 4, 8), numpy.float32)
    for samples in (wide[..., ::2], images(8)[::2], numpy.asfortranarray(images(4)), images(4)[:, :, ::-1]):
        error = refused(shared, samples)
        assert error.message == "the samples are not in row-major order without gaps (C order)"
        assert "numpy.ascontiguousarray(array) or tensor.contiguous()" in error.hint


def test_memory_that_is_not_aligned_is_rejected(shared):
    raw = numpy.zeros(2 * 48 * 4 + 1, numpy.uint8)[1:]
    error = refused(shared, raw.view(numpy.float32).reshape(2, *SHAPE))
    assert error.message in ("the samples are not aligned in memory", "the samples do not give their memory away")


def test_what_is_not_an_array_is_rejected(shared):
    assert refused(shared, 3).message == "the samples are not an array"
    assert "numpy.stack" in refused(shared, [images(1)[0], images(1)[0]]).hint
    assert "numpy.stack" in refused(shared, []).hint
    assert refused(shared, numpy.float32(1)).message == "the samples are a single number"
    assert refused(shared, b"abc").hint == "pass a list: [picture]"
    assert refused(shared, [b"abc", 3]).message == "one of the encoded pictures is not bytes"
    assert refused(shared, {1: images(1)}).message == "a name of the samples is not text"
    assert "does not resize pictures" in refused(shared, [b"abc"]).message


def test_a_dict_with_another_name_is_rejected(shared):
    error = refused(shared, {"picture": images(2)})
    assert "other samples than the ensemble takes" in error.message and "picture" in error.detail
    assert refused(shared, {"image": images(2)[::2][:, ::2]}).message.startswith("the samples of 'image' are not in row")


def test_tensors_of_torch_are_rejected_with_the_call_that_makes_them_fit(shared):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(images(2))
    assert "tensor.contiguous()" in refused(shared, tensor.to(memory_format=torch.channels_last)).hint
    assert "tensor.float()" in refused(shared, tensor.double()).hint
    assert "tensor.to(torch.float32)" in refused(shared, tensor.bfloat16()).hint
    if torch.cuda.is_available():
        assert refused(shared, tensor.cuda()).hint == "pass tensor.cpu()"


def test_a_closed_ensemble_says_so(opened):
    ensemble = opened(described())
    ensemble.close()
    ensemble.close()
    assert repr(ensemble) == "<tutti.Ensemble, closed>"
    assert refused(ensemble, images(1)).message == "the ensemble is closed"
    for call in (ensemble.status, ensemble.health, lambda: list(ensemble.map([images(1)]))):
        with pytest.raises(tutti.UsageError, match="the ensemble is closed"):
            call()


def test_mistakes_of_a_description_come_all_at_once_with_their_places(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("members:\n  - {name: a, model: {kind: fake, classez: 3}}\ninput: {shape: [1, 2, 2]}\nsegmnt: 3\n")
    with pytest.raises(tutti.UsageError) as caught:
        tutti.Ensemble(file)
    assert f"{file}:2:" in str(caught.value) and f"{file}:4:1" in str(caught.value)


def test_descriptions_of_other_kinds_are_rejected(tmp_path):
    for description, words in ((3, "a description cannot be a int"), (["a.pt"], "Ensemble.from_files"),
                               ({"members": [object()]}, "members[0] is a object"),
                               ({"segment_images": float("inf")}, "segment_images is inf")):
        with pytest.raises(tutti.UsageError) as caught:
            tutti.Ensemble(description)
        assert words in str(caught.value)
    with pytest.raises(tutti.UsageError, match="nothing.yaml"):
        tutti.Ensemble(tmp_path / "nothing.yaml")


def test_a_device_that_does_not_exist_is_named():
    with pytest.raises(tutti.UsageError, match="a: core 4095 does not exist"):
        tutti.Ensemble(described(), device_map={"a": "cpu:4095", "b": "cpu"})


def test_files_of_models_must_exist_and_need_a_shape(tmp_path):
    with pytest.raises(tutti.UsageError, match="there is no file"):
        tutti.Ensemble.from_files([tmp_path / "a.pt"])
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(tutti.UsageError, match="the shape of the samples is not known") as caught:
        tutti.Ensemble.from_files([tmp_path / "a.pt"])
    assert "shape=(3, 224, 224)" in caught.value.hint
    with pytest.raises(tutti.UsageError, match="at least one model"):
        tutti.Ensemble.from_files([])


def test_text_of_a_description_reads_back_as_the_same_value():
    assert _description.flow({"a": [1, 2.5, None, True, "x: 'y' \"z\" é\n"], 0: "cpu"}) == \
        '{"a": [1, 2.5, null, true, "x: \'y\' \\"z\\" é\\n"], 0: "cpu"}'


def test_an_environment_without_torch_or_with_another_says_what_to_install(tmp_path):
    error = _environment.torch_problem(None, "2.11.0")
    assert "does not have" in error.message and error.hint == "pip install 'torch==2.11.0'"
    (tmp_path / "version.py").write_text("__version__ = '2.9.1+cpu'\n")
    error = _environment.torch_problem(tmp_path, "2.11.0")
    assert error.message == "some members need torch 2.11.0, and this Python environment has 2.9.1"
    assert error.hint.startswith("pip install 'torch==2.11.0'")
    (tmp_path / "version.py").write_text("from typing import Optional\n__version__: str = '2.11.0+cu130'\n")
    assert _environment.torch_problem(tmp_path, "2.11.0") is None
    assert "no LibTorch backend" in _environment.torch_problem(tmp_path, "").message


def test_an_installed_package_refuses_members_whose_library_is_missing(monkeypatch):
    monkeypatch.delenv("TUTTI_LIBTORCH", raising=False)
    monkeypatch.delenv("TUTTI_ONNXRUNTIME", raising=False)
    monkeypatch.delenv("TUTTI_OPENVINO", raising=False)
    monkeypatch.setattr(_environment, "folder_of", lambda package: None)
    assert _environment.worker_variables(["onnxruntime", "torch"], "2.11.0") == []  # of a build folder
    monkeypatch.setattr(_environment, "is_wheel", lambda: True)
    with pytest.raises(tutti.UsageError, match="need torch"):
        _environment.worker_variables(["torch"], "2.11.0")
    for package in ("onnxruntime", "openvino"):
        with pytest.raises(tutti.UsageError, match=f"need {package}") as caught:
            _environment.worker_variables([package], "2.11.0")
        assert caught.value.hint == f"pip install {package}"
    assert _environment.worker_variables([], "2.11.0") == []


def test_the_libraries_of_the_environment_are_those_of_the_workers(monkeypatch):
    for package, variable in _environment.OPENED.items():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(_environment, "folder_of", lambda package: f"/there/{package}")
    assert _environment.worker_variables(["onnxruntime", "openvino"], "") == [
        ("TUTTI_ONNXRUNTIME", "/there/onnxruntime"), ("TUTTI_OPENVINO", "/there/openvino")]
    monkeypatch.setenv("TUTTI_OPENVINO", "/mine")  # what the user has set counts
    assert _environment.worker_variables(["openvino"], "") == []


def test_a_library_that_a_member_only_may_use_is_shown_if_it_is_there(monkeypatch, tmp_path):
    for variable in ("TUTTI_LIBTORCH", "TUTTI_ONNXRUNTIME", "TUTTI_OPENVINO"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(_environment, "is_wheel", lambda: True)
    libraries = ["onnxruntime", "openvino", "torch"]
    monkeypatch.setattr(_environment, "folder_of", lambda package: None)
    assert _environment.possible_variables(libraries, "2.11.0") == []
    monkeypatch.setattr(_environment, "folder_of", lambda package: tmp_path if package == "openvino" else None)
    assert _environment.possible_variables(libraries, "2.11.0") == [("TUTTI_OPENVINO", str(tmp_path))]
    assert _environment.possible_variables(["onnxruntime"], "2.11.0") == []
    monkeypatch.setenv("TUTTI_OPENVINO", "/mine")
    assert _environment.possible_variables(libraries, "2.11.0") == []


def test_a_member_that_cannot_predict_is_named(opened):
    members = described()["members"]
    members[1]["model"]["faults"] = [{"kind": "nan", "phase": "predict", "at_batch": 0}]
    ensemble = opened(described(members=members))
    with pytest.raises(tutti.FailedError, match="b"):
        ensemble.predict(images(4))


def test_packages_are_made_only_where_every_member_is_said_to_be_on_the_cpu(monkeypatch):
    monkeypatch.setattr(_modules.shutil, "which", lambda name: "/usr/bin/c++")
    for places in ("cpu", "cpu:1", ["cpu:0", "cpu"], {0: "cpu:0", "b": -1}):
        assert _modules.formats_to_try("auto", places, {})[0] == ["pt2", "pt"]
        assert _modules.formats_to_try("auto", places, {"workers": []})[0] == ["pt"]
    for places in (None, "auto", [0, 1], {0: "cpu", 1: 0}, ["cpu", "cuda:0"], {}):
        formats, reason = _modules.formats_to_try("auto", places, {})
        assert formats == ["pt"] and "device_map" in reason
    assert _modules.formats_to_try("pt2", None, {}) == (["pt2"], "")


def test_what_is_not_a_list_of_modules_is_rejected():
    class Module:
        state_dict = None

        def __call__(self):
            pass

    with pytest.raises(tutti.UsageError, match="one module was given") as caught:
        _modules.named(Module())
    assert caught.value.hint == "pass a list: [module]"
    for name in ("a/b", "..", "", 0):
        with pytest.raises(tutti.UsageError, match="cannot be the name of a member"):
            _modules.named({name: Module()})
    with pytest.raises(tutti.UsageError, match="m0 is the class Module"):
        _modules.named([Module])


def test_a_tensor_that_is_negated_lazily_is_rejected(shared):
    class Negated(numpy.ndarray):  # as a tensor of torch says it
        def is_neg(self):
            return True

    assert refused(shared, images(2).view(Negated)).hint == "pass tensor.resolve_neg()"
