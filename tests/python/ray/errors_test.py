"""What tutti.ray says about nodes, data sets and calls that do not fit."""

from __future__ import annotations

import gc
import shutil
import sys
from pathlib import Path

import numpy
import pytest
import ray
from conftest import SEGMENT, SHAPE, add_node, dataset, described, images_of, on_one_machine, taken

import tutti
import tutti.ray


def refused(given, description, error=tutti.UsageError, **options) -> str:
    with pytest.raises(error) as found:
        tutti.ray.predict(given, description, **options)
    return str(found.value)


def failed(result) -> str:
    """What Ray raises while it is consumed."""
    with pytest.raises(Exception) as found:
        result.take_all()
    text = str(found.value)
    del found
    gc.collect()  # its frames keep the actors
    return text


def test_a_node_with_another_tutti_or_without_one(cluster, tmp_path):
    package = Path(tutti.__file__).parent
    shutil.copytree(package, tmp_path / "tutti")
    with (tmp_path / "tutti" / "__init__.py").open("a") as file:
        file.write("\nfrom . import _core\n_core.version = '0.0.9'\n")
    other = add_node(cluster, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        text = refused(dataset(), described())
        assert "nodes of the Ray cluster cannot run this ensemble, or not with the same bytes" in text
        assert f"({other.node_id[:8]}): it has Tutti 0.0.9, and this program has {tutti._core.version}" in text
        assert text.count("\n    node ") + text.count("detail: node ") == 1, text
    finally:
        cluster.remove_node(other)
    without = add_node(cluster, env_vars={"PYTHONPATH": str(tmp_path / "nothing")})
    try:
        text = refused(dataset(), described())
        assert f"({without.node_id[:8]}): it cannot import tutti: No module named 'tutti'" in text
    finally:
        cluster.remove_node(without)


def test_a_node_with_another_environment_differs(cluster):
    other = add_node(cluster, env_vars={"MKL_CBWR": "COMPATIBLE"})
    try:
        text = refused(dataset(), described())
        assert "environment MKL_CBWR is " in text and "mixed=True allows" in text
        expected = on_one_machine(described(), images_of(numpy.arange(20))).values
        values = taken(tutti.ray.predict(dataset(20), described(), mixed=True), "values")[0]
        assert numpy.allclose(values, expected, atol=1e-5)
    finally:
        cluster.remove_node(other)


MODEL = """
import numpy

def make():
    return lambda images: numpy.tile(images.reshape(len(images), -1)[:, :5], 1)
"""


def test_a_node_that_lacks_a_file_or_has_another_one(cluster, tmp_path, monkeypatch):
    description = described(1)
    description["members"][0]["model"] = {"kind": "python", "factory": "model.py:make", "python": sys.executable}
    right = tmp_path / "right"
    right.mkdir()
    (right / "model.py").write_text(MODEL)
    for content, words in ((None, "cnn-0: could not read 'model.py'"), (MODEL + "#", "model of cnn-0 is ")):
        folder = tmp_path / f"wrong-{content is None}"
        folder.mkdir()
        if content is not None:
            (folder / "model.py").write_text(content)
        nodes = []
        for place in (right, folder):  # nodes are in the folder where they were started
            monkeypatch.chdir(place)
            nodes.append(add_node(cluster, resources={"files": 1}))
        monkeypatch.chdir(right)
        try:
            text = refused(dataset(), description, resources={"files": 1})
            assert words in text, text
            assert any(f"({node.node_id[:8]}): " in text for node in nodes), text
        finally:
            for node in nodes:
                cluster.remove_node(node)


def test_a_node_that_comes_later_looks_for_itself(cluster):
    first = add_node(cluster, resources={"place": 1})
    result = tutti.ray.predict(dataset(40), described(), rows=SEGMENT, resources={"place": 1})
    other = add_node(cluster, resources={"place": 1}, env_vars={"MKL_CBWR": "COMPATIBLE"})
    cluster.remove_node(first)
    try:
        text = failed(result)
        assert "nodes of the Ray cluster cannot run this ensemble" in text and "environment MKL_CBWR" in text
    finally:
        cluster.remove_node(other)


def test_actors_must_leave_a_cpu_for_reading(cluster):
    """Ray would start no task, and say nothing."""
    text = refused(dataset(), described(), actors=3, num_cpus=2)
    assert "3 actors leave no CPU of the Ray cluster free, so nothing could be read" in text
    assert "each needs CPU 2; all nodes together have room for 3, and Ray needs 1 CPU for reading" in text
    text = refused(dataset(), described(), parts=2, actors=3)
    assert "6 actors (3 for each of 2 parts) leave no CPU of the Ray cluster free" in text
    text = refused(dataset(), described(), actors=(7, 9))
    assert "the Ray cluster has no room for 7 actors" in text and "room for 6" in text and "or add nodes" in text
    tutti.ray.predict(dataset(), described(), actors=(2, 9), num_cpus=2)
    tutti.ray.predict(dataset(), described(), actors=8, num_cpus=0.5)
    tutti.ray.predict(dataset(), described(), actors=20, num_cpus=0)
    assert "leave no CPU" in refused(dataset(), described(), actors=11, num_cpus=0.5)


def test_no_node_has_what_an_actor_needs(cluster):
    text = refused(dataset(), described(), num_gpus=1, resources={"large": 2})
    assert "no node of the Ray cluster has what an actor needs" in text
    assert "needed: CPU 1, GPU 1, large 2" in text and "ask for less" in text


def test_no_node_answers(cluster, monkeypatch):
    monkeypatch.setattr(tutti.ray, "_ANSWER_S", 0.0)
    text = refused(dataset(), described(), tutti.FailedError)
    assert "no node of the Ray cluster answered in 0 s" in text and "3 have what an actor needs" in text


def test_columns_that_are_not_there_or_do_not_fit(cluster):
    known = ray.data.from_numpy(images_of(numpy.arange(20)))  # its column is called "data"
    assert "the data set has no column 'image'" in refused(known, described())
    assert "it has data" in refused(known, described())
    assert "the data set has no column 'name'" in refused(known, described(), columns="data", keep=["name"])
    other = described(1, input={"shape": [3, 8, 8]})
    other["members"][0]["model"] = {"kind": "fake", "classes": 5}
    text = refused(known, other, columns="data")
    assert "the samples of column 'data' do not fit the ensemble" in text
    assert "they are 3x32x32 of float, and the ensemble takes 3x8x8 of float32" in text
    doubles = ray.data.from_numpy(numpy.zeros((20, *SHAPE)))
    assert "they are 3x32x32 of double, and the ensemble takes 3x32x32 of float32" in refused(doubles, described(),
                                                                                              columns="data")
    labels = ray.data.from_items([{"image": number} for number in range(20)])
    assert "they are 1 of int64" in refused(labels, described())


def test_what_only_the_blocks_tell_is_told_by_the_nodes(cluster):
    def told(given, description=described(1), **options) -> str:
        return failed(tutti.ray.predict(given, description, actors=1, **options))

    assert "the data set has no column 'pixels'" in told(dataset(20), columns="pixels")
    small = dataset(20, made=lambda numbers: images_of(numbers)[:, :, :8])
    assert "the samples are 3x8x32 each, and the ensemble takes 3x32x32" in told(small)
    doubles = dataset(20, made=lambda numbers: images_of(numbers).astype(numpy.float64))
    assert "type of values that Tutti does not take" in told(doubles)
    ragged = dataset(20, made=lambda numbers: [image[:, :8 + number % 2] for number, image in
                                               zip(numbers, images_of(numbers))])
    assert "the samples of column 'image' are not tensors of one shape" in told(ragged)
    missing = ray.data.range(20).map(lambda row: {"image": None if row["id"] == 3 else 1.0})
    numbers = described(1, input={"inputs": {"image": {"shape": []}}})
    numbers["members"][0]["model"] = {"kind": "fake", "classes": 5}
    assert "1 of 20 samples of column 'image' are missing" in told(missing, numbers, rows=20)
    taken_name = dataset(20).rename_columns({"id": "values"})
    assert "the data set has a column 'values' already" in told(taken_name)


def test_calls_that_could_not_have_the_bytes_of_one_machine(cluster):
    assert "a block of 25 rows is not a multiple of 10" in refused(dataset(), described(), rows=25)
    assert "rows=20" in refused(dataset(), described(), rows=25)
    assert "'batch_images: auto' is measured in each place" in refused(dataset(), described(batch_images="auto"))
    assert "3 members cannot be divided into 4 parts" in refused(dataset(), described(), parts=4)
    text = refused(dataset(), described(), parts=[["cnn-0"], ["cnn-0", "cnn-1"]])
    assert "the parts do not have every member once" in text and "members: cnn-0, cnn-1, cnn-2" in text
    several = described(1, input={"inputs": {"x": {"shape": [4]}, "y": {"shape": [4]}}})
    several["members"][0] = {"name": "fake", "model": {"kind": "fake", "classes": 5}, "takes": ["x", "y"]}
    assert "columns of: x; inputs: x, y" in refused(dataset(), several, columns="image")
    assert "columns of: x; inputs: x, y" in refused(dataset(), several, columns={"x": "image"})


def test_a_part_that_lacks_a_member_cannot_be_combined(cluster):
    nan = described(2, on_nan="degrade")
    nan["members"][1] = {"name": "nan", "model": {"kind": "fake", "classes": 5, "faults": [
        {"kind": "nan", "phase": "predict", "at_batch": 0}]}}
    text = failed(tutti.ray.predict(dataset(20), nan, parts=2))
    assert "members of a part did not predict every row" in text
