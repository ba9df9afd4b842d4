"""What predictions are, and from what objects they can be made."""

from __future__ import annotations

import struct
import zlib

import numpy
import pytest
from conftest import SHAPE, described, images

import tutti
from tutti import _core


class OnlyDlpack:
    """An array that offers DLPack and nothing else."""

    def __init__(self, array: numpy.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def png(red: int) -> bytes:
    """A picture of 4x4 pixels of one colour."""
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + bytes((red, 0, 0)) * 4) * 4
    header = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_the_mean_of_the_members_is_predicted(shared):
    p = shared.predict(images(20))
    assert len(p) == p.count == 20
    assert p.values.shape == (20, 5) and p.values.dtype == numpy.float32
    assert p.predicted.shape == (20,) and p.predicted.dtype == numpy.int64
    assert list(p.members) == ["a", "b"] and p.members["b"].shape == (20, 5)
    assert not numpy.array_equal(p.members["a"], p.members["b"])
    mean = (p.members["a"] + p.members["b"]) / 2
    assert numpy.allclose(p.values, mean / mean.sum(1, keepdims=True), atol=1e-6)
    assert numpy.array_equal(p.predicted, p.values.argmax(1))
    assert p.spread is None and p.incomplete == []
    assert repr(p) == "<tutti.Predictions of 20 samples, 5 values each>"


def test_every_kind_of_array_gives_the_same_bytes(shared):
    given = images(9)
    expected = shared.predict(given).values
    read_only = given.copy()
    read_only.flags.writeable = False
    offset = numpy.concatenate([given[:3], given])[3:]
    for other in (read_only, OnlyDlpack(given), memoryview(given), offset):
        assert numpy.array_equal(shared.predict(other).values, expected)
    torch = pytest.importorskip("torch")
    for tensor in (torch.from_numpy(given), torch.from_numpy(given).clone().requires_grad_()):
        assert numpy.array_equal(shared.predict(tensor).values, expected)


def test_bytes_become_floats_from_0_to_1(shared):
    given = numpy.arange(2 * 48, dtype=numpy.uint8).reshape(2, *SHAPE)
    floats = given.astype(numpy.float32) / 255
    assert numpy.array_equal(shared.predict(given).values, shared.predict(floats).values)


def test_samples_are_copied_once_and_predictions_not_at_all(opened):
    ensemble = opened(described())
    given = images(40)
    before = ensemble.status().input_bytes_copied
    p = ensemble.predict(given)
    assert ensemble.status().input_bytes_copied - before == given.nbytes
    assert p.values.ctypes.data == p.values.ctypes.data and not p.values.flags.owndata


def test_arrays_of_predictions_outlive_them(opened):
    values = opened(described()).predict(images(8)).values
    kept = values.copy()
    numpy.ones((8, 5), numpy.float32)
    assert numpy.array_equal(values, kept)


def test_no_samples_give_no_rows(shared):
    p = shared.predict(images(0))
    assert len(p) == 0 and p.values.shape == (0, 5) and p.predicted.shape == (0,)


def test_members_are_there_only_if_they_are_asked_for(opened):
    assert opened(described()).predict(images(3)).members == {}


def test_with_the_rule_none_there_are_only_members(opened):
    p = opened(described(combine={"rule": "none"})).predict(images(3))
    assert p.values is None and p.predicted is None and list(p.members) == ["a", "b"]


def test_the_spread_is_there_if_it_is_asked_for(opened):
    p = opened(described(combine={"rule": "mean", "spread": True})).predict(images(3))
    assert p.spread.shape == (3,) and (p.spread >= 0).all()


def test_masks_have_a_class_for_each_place(opened):
    members = [{"name": "a", "model": {"kind": "fake", "classes": 3, "per_class": [2, 5]}}]
    p = opened(described(members=members)).predict(images(4))
    assert p.values.shape == (4, 3, 2, 5) and p.predicted.shape == (4, 2, 5)
    assert numpy.array_equal(p.predicted, p.values.argmax(1))


def test_the_spec_says_which_libraries_members_need():
    assert _core.parse_spec("members: [{name: a, model: {kind: fake}}]\ninput: {shape: [1, 2, 2]}", []).libraries() == []
    both = ("members: [{name: a, model: {kind: mlp, layers: [2]}}, {name: b, model: {kind: onnx, path: b.onnx}}]\n"
            "input: {shape: [1, 2, 2]}")
    assert _core.parse_spec(both, []).libraries() == ["onnxruntime", "torch"]
    assert _core.parse_spec(both, []).possible_libraries() == []
    either = "members: [{name: a, model: {kind: mlp, layers: [2], backend: auto}}]\ninput: {shape: [1, 2, 2]}"
    assert _core.parse_spec(either, []).libraries() == []
    assert _core.parse_spec(either, []).possible_libraries() == ["onnxruntime", "openvino", "torch"]


def test_several_arrays_per_sample_are_a_dict(opened):
    inputs = {"image": {"shape": list(SHAPE)}, "table": {"shape": [7]}, "ids": {"shape": [2], "dtype": "int64"}}
    members = [{"name": "a", "model": {"kind": "fake", "classes": 3}, "takes": ["image", "table", "ids"]}]
    ensemble = opened(described(members=members, input={"inputs": inputs}))
    assert ensemble.inputs == ["image", "table", "ids"]
    given = {"ids": numpy.ones((6, 2), numpy.int64), "image": images(6), "table": numpy.ones((6, 7), numpy.float32)}
    assert len(ensemble.predict(given)) == 6
    with pytest.raises(tutti.UsageError, match="takes several arrays by their names") as caught:
        ensemble.predict(images(6))
    assert caught.value.hint == "pass a dict: {'image': ..., 'table': ..., 'ids': ...}"


def test_one_array_needs_no_name(opened):
    members = [{"name": "a", "model": {"kind": "fake", "classes": 3}}]
    ensemble = opened(described(members=members, input={"inputs": {"row": {"shape": [7]}}}))
    rows = numpy.random.default_rng(2).random((5, 7), dtype=numpy.float32)
    assert numpy.array_equal(ensemble.predict(rows).values, ensemble.predict({"row": rows}).values)


def test_encoded_pictures_are_a_list_of_bytes(opened):
    ensemble = opened(described(input={"resize": 4, "crop": 4}))
    p = ensemble.predict([png(10), png(200), png(10)])
    assert len(p) == 3 and numpy.array_equal(p.values[0], p.values[2])
    assert not numpy.array_equal(p.values[0], p.values[1])


def test_the_description_is_text_a_dict_or_a_file(opened, tmp_path):
    expected = opened(described()).predict(images(4)).values
    text = opened(described()).yaml
    file = tmp_path / "ensemble.yaml"
    file.write_text(text)
    for description in (text, file, str(file)):
        assert numpy.array_equal(opened(description).predict(images(4)).values, expected)


def test_overrides_and_the_device_map_change_the_description(opened):
    ensemble = opened(described(), ["members.1.weight=3", "combine={rule: weighted}"], device_map={0: "cpu:0", "b": "cpu"})
    assert [member.device for member in ensemble.status().members] == ["cpu:0", "cpu"]
    assert "weight: 3" in ensemble.yaml


def test_values_of_numpy_may_be_in_a_description(opened):
    assert len(opened(described(segment_images=numpy.int64(4))).predict(images(5))) == 5


def test_the_status_names_the_members(shared):
    status = shared.status(memory=True)
    assert status.state == "ready" and status.faults.deaths == 0 and status.pss_bytes > 0
    assert [member.name for member in status.members] == ["a", "b"]
    assert all(member.alive and member.pid > 0 and member.kind == "fake" for member in status.members)
    assert shared.health() and shared.health().problems == []
    assert repr(shared) == "<tutti.Ensemble of a, b>"
