"""tutti.ray on a cluster of three nodes: the bytes of one machine, whatever happens to the nodes."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import ray
from conftest import SEGMENT, SHAPE, add_node, dataset, described, images_of, on_one_machine, taken, until

import tutti
import tutti.ray

ROWS = 205


def pools_by_node() -> dict[str, int]:
    """How many pools each node has."""
    nodes = [actor["Address"]["NodeID"] for actor in ray._private.state.state.actor_table(None, None, None).values()
             if actor["State"] == "ALIVE" and "MapWorker" in actor["ActorClassName"]]
    return dict(collections.Counter(nodes))


def kill_a_node(cluster, of: Iterable[str] = ()) -> None:
    """Kills all processes of a node that has a pool, or of one of these; another takes its place, without what it had."""
    candidates = {*(of or pools_by_node())}
    lost = next(node for node in cluster.worker_nodes if node.node_id in candidates)
    cluster.remove_node(lost, allow_graceful=False)
    add_node(cluster)


def slow(delay_ms: int = 40) -> dict:
    """The same ensemble with a member that takes its time for each batch."""
    found = described(2)
    found["members"].append({"name": "slow", "model": {"kind": "fake", "classes": 5, "delay_ms": delay_ms}})
    return found


def test_the_bytes_are_those_of_one_machine_whatever_the_blocks_were(cluster):
    expected = on_one_machine(described(), images_of(numpy.arange(ROWS)))
    for blocks, rows in ((1, None), (7, 5 * SEGMENT)):
        result = tutti.ray.predict(dataset(ROWS, blocks), described(), rows=rows)
        ids, values, predicted, present = taken(result, "id", "values", "predicted", "members_present")
        assert numpy.array_equal(ids, numpy.arange(ROWS))
        assert values.tobytes() == expected.values.tobytes()
        assert predicted.tobytes() == expected.predicted.tobytes()
        assert present.tolist() == [3] * ROWS


def test_each_node_has_a_pool_and_a_killed_node_changes_no_byte(cluster):
    expected = on_one_machine(slow(0), images_of(numpy.arange(ROWS)))
    ids, values = [], []
    for batch in tutti.ray.predict(dataset(ROWS), slow(), rows=SEGMENT).iter_batches(
            batch_size=None, batch_format="numpy", prefetch_batches=0):
        if not ids:
            until(lambda: [*pools_by_node().values()] == [1, 1, 1])
            kill_a_node(cluster)
        ids.append(batch["id"])
        values.append(batch["values"])
    assert len(ids) == -(-ROWS // SEGMENT)
    assert numpy.array_equal(numpy.concatenate(ids), numpy.arange(ROWS))
    assert numpy.concatenate(values).tobytes() == expected.values.tobytes()


def test_results_that_a_killed_node_had_are_computed_again(cluster):
    keep = ["id", "image"]  # small results would be in the memory of this process
    result = tutti.ray.predict(dataset(ROWS), slow(1), keep=keep).materialize()
    expected = on_one_machine(slow(0), images_of(numpy.arange(ROWS)))
    nodes = {node for found in ray.experimental.get_object_locations([
        block for bundle in result.iter_internal_ref_bundles() for block in bundle.block_refs]).values()
        for node in found["node_ids"]}
    kill_a_node(cluster, nodes)
    assert taken(result, "values")[0].tobytes() == expected.values.tobytes()


@pytest.mark.parametrize("combine", [{"rule": "mean", "spread": True}, {"rule": "weighted"}, {"rule": "max"},
                                     {"rule": "vote"}, {"rule": "mean", "over": "logits", "accumulate": "float64"}],
                         ids=str)
def test_members_in_parts_give_the_bytes_of_one_machine(cluster, combine):
    whole = described(5, combine=combine, save_members=True)
    expected = on_one_machine(whole, images_of(numpy.arange(95)))
    names = ["values", "predicted", "members_present"] + ["spread"] * (expected.spread is not None)
    members = [f"member.cnn-{rank}" for rank in range(5)]
    parts = [["cnn-3", "cnn-0"], ["cnn-1"], ["cnn-4", "cnn-2"]]
    result = tutti.ray.predict(dataset(95), whole, rows=SEGMENT, parts=parts)
    ids, *found = taken(result, "id", *names, *members)
    assert numpy.array_equal(ids, numpy.arange(95)) and found[2].tolist() == [5] * 95
    assert found[0].tobytes() == expected.values.tobytes()
    assert found[1].tobytes() == expected.predicted.tobytes()
    if expected.spread is not None:
        assert found[3].tobytes() == expected.spread.tobytes()
    for rank, rows in enumerate(found[-5:]):
        assert rows.tobytes() == expected.members[f"cnn-{rank}"].tobytes()


def test_columns_of_the_user_are_not_taken_for_those_of_members(cluster):
    whole = described(3)
    given = dataset(20).map_batches(lambda batch: batch | {"member.x": batch["id"], "member.y": batch["id"]})
    for keep, left in ((["member.y"], ["member.y"]), (None, ["id", "member.x", "member.y"])):
        result = tutti.ray.predict(given, whole, rows=SEGMENT, parts=2, keep=keep)
        assert result.columns() == [*left, "values", "predicted", "members_present"]


@pytest.mark.parametrize("parts", [1, 2])
def test_the_first_rows_have_the_same_bytes(cluster, parts):
    expected = on_one_machine(described(), images_of(numpy.arange(ROWS))).values
    result = tutti.ray.predict(dataset(ROWS, 1), described(), rows=SEGMENT, parts=parts)
    for count in (3, 17):  # in the middle of a batch
        assert taken(result.limit(count), "values")[0].tobytes() == expected[:count].tobytes()


def test_parts_survive_a_killed_node(cluster):
    expected = on_one_machine(slow(0), images_of(numpy.arange(ROWS)))
    values = []
    for batch in tutti.ray.predict(dataset(ROWS), slow(), rows=SEGMENT, parts=2, actors=2).iter_batches(
            batch_size=None, batch_format="numpy", prefetch_batches=0):
        if not values:
            kill_a_node(cluster)
        values.append(batch["values"])
    assert numpy.concatenate(values).tobytes() == expected.values.tobytes()


def test_results_are_written_as_parquet(cluster, tmp_path):
    expected = on_one_machine(described(), images_of(numpy.arange(60)))
    tutti.ray.predict(dataset(60), described(), keep=["id"]).write_parquet(str(tmp_path))
    table = pyarrow.parquet.read_table(str(tmp_path)).sort_by("id")
    assert table.column_names == ["id", "values", "predicted", "members_present"]
    assert table["id"].to_pylist() == [*range(60)]
    values = numpy.concatenate([chunk.to_numpy_ndarray() for chunk in table["values"].chunks])
    assert values.tobytes() == expected.values.tobytes()


def test_bytes_other_names_and_several_columns(cluster):
    def bytes_of(numbers):
        return (images_of(numbers) * 255).astype(numpy.uint8)

    expected = on_one_machine(described(), bytes_of(numpy.arange(40)))
    renamed = dataset(40, made=bytes_of).rename_columns({"image": "pixels"})
    result = tutti.ray.predict(renamed, described(), columns="pixels", keep=["id"])
    assert result.columns() == ["id", "values", "predicted", "members_present"]
    assert taken(result, "values")[0].tobytes() == expected.values.tobytes()

    several = described(input={"inputs": {"x": {"shape": [4]}, "n": {"shape": [], "dtype": "int64"}}})
    several["members"] = [{"name": "fake", "model": {"kind": "fake", "classes": 3}, "takes": ["x", "n"]}]
    samples = {"x": numpy.arange(160, dtype=numpy.float32).reshape(40, 4) / 160, "n": numpy.arange(40)}
    rows = [{"n": int(n), "of": x} for n, x in zip(samples["n"], samples["x"])]
    result = tutti.ray.predict(ray.data.from_items(rows), several, columns={"x": "of", "n": "n"})
    assert taken(result, "values")[0].tobytes() == on_one_machine(several, samples).values.tobytes()


def test_samples_are_read_where_the_object_store_has_them(cluster):
    def look(table: pyarrow.Table) -> pyarrow.Table:
        from tutti.ray import _array

        array = _array(table, "image")
        buffer = table.column("image").chunk(0).storage.buffers()[-1]
        begin, end = array.ctypes.data, array.ctypes.data + array.nbytes
        inside = buffer.address <= begin and end <= buffer.address + buffer.size
        return pyarrow.table({"inside": [inside], "writable": [array.flags.writeable], "shape": [str(array.shape)]})

    found = dataset(60, 3).repartition(target_num_rows_per_block=20, strict=True).materialize().map_batches(
        look, batch_size=None, batch_format="pyarrow").take_all()
    assert found == [{"inside": True, "writable": False, "shape": str((20, *SHAPE))}] * 3


def test_rows_that_lack_members_say_so(cluster):
    nan = described(2, on_nan="degrade")
    nan["members"][1] = {"name": "nan", "model": {"kind": "fake", "classes": 5, "faults": [
        {"kind": "nan", "phase": "predict", "at_batch": 0}]}}
    one = on_one_machine(nan, images_of(numpy.arange(20)))
    assert one.incomplete
    present = taken(tutti.ray.predict(dataset(20), nan, actors=1), "members_present")[0]
    lack = one.incomplete[0]
    assert present.tolist() == [1 if lack.first <= row < lack.first + lack.count else 2 for row in range(20)]
