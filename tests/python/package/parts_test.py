"""One ensemble in several places: its parts, what they are combined to, what a place is. And tutti.ray without Ray."""

from __future__ import annotations

import importlib.util

import numpy
import pytest
from conftest import SHAPE, described, images, run_python

import tutti
from tutti import _core
from tutti._ensemble import _spec_of


def spec_of(**more) -> _core.Spec:
    return _core.settled(_spec_of(described(**more), []))


def of_five(**more) -> dict:
    found = described(**more)
    model = {"kind": "fake", "classes": 5}
    found["members"] = [{"name": f"m{rank}", "model": model, "weight": rank + 1} for rank in range(5)]
    return found


@pytest.mark.parametrize("combine", [
    {"rule": "mean"}, {"rule": "weighted"}, {"rule": "weighted", "normalize": False}, {"rule": "sum"}, {"rule": "max"},
    {"rule": "vote"}, {"rule": "median"}, {"rule": "most_confident"}, {"rule": "geometric_mean"}, {"rule": "none"},
    {"rule": "mean", "spread": True}, {"rule": "mean", "activation": "sigmoid"}, {"rule": "mean", "over": "logits"},
    {"rule": "mean", "accumulate": "float64"}], ids=str)
def test_parts_combined_have_the_bytes_of_the_whole(opened, combine):
    given = images(21)
    whole = of_five(combine=combine, save_members=True)
    expected = opened(whole).predict(given)
    spec = _core.settled(_spec_of(whole, []))
    members = {}
    for ranks in ([3, 0], [1], [4, 2]):
        part = opened(_core.part_of(spec, ranks).yaml).predict(given)
        assert [*part.members] == [f"m{rank}" for rank in sorted(ranks)] and part.values is None
        members |= part.members
    for name, values in expected.members.items():
        assert members[name].tobytes() == values.tobytes()
    p = _core.combine(spec, [*members.items()])
    for name in ("values", "predicted", "spread"):
        ours, theirs = getattr(p, name), getattr(expected, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or (ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes())
    assert [*p.members] == [*expected.members] and p.count == 21
    unsaved = _core.combine(_spec_of(of_five(combine=combine), []), [*members.items()])
    assert bool(unsaved.members) == (combine["rule"] == "none")


def test_a_part_keeps_seeds_segments_and_shared_workers():
    workers = [{"members": ["m0", "m3"]}, {"members": ["m1", "m2"]}]
    spec = _spec_of(of_five(workers=workers, segment_images="auto", seed=7), [])
    assert _core.segment_images(spec) == 500
    part = _core.part_of(spec, [3, 1, 2])
    assert _core.member_names(part) == ["m1", "m2", "m3"]
    assert "segment_images: 500" in part.yaml
    seeds = {name: line for name, line in _core.fingerprint(part).items() if name.endswith(".seed")}
    assert {"members.0.seed": "8", "members.1.seed": "9", "members.2.seed": "10"}.items() <= seeds.items()


def test_what_cannot_be_split_or_combined():
    spec = spec_of()

    def refused(call, *words):
        with pytest.raises(tutti.UsageError) as error:
            call(*words)
        return str(error.value)

    assert "there is no member of rank 2" in refused(_core.part_of, spec, [2])
    assert "a is named twice" in refused(_core.part_of, spec, [0, 0])
    assert "at least one member" in refused(_core.part_of, spec, [])
    cascade = spec_of(cascade={"after": ["a"], "when": {"confidence_below": 0.5}, "then": ["b"]})
    assert "an ensemble with a 'cascade' or a 'quorum' cannot be split" in refused(_core.part_of, cascade, [0])
    assert "'cascade' or a 'quorum'" in refused(_core.part_of, spec_of(quorum={"members": 1}), [0])
    networks = described(workers=[{"members": ["a", "b"], "mode": "fused"}], input={"shape": [3, 32, 32]})
    for member in networks["members"]:
        member["model"] = {"kind": "small-cnn", "classes": 5}
    fused = _spec_of(networks, [])
    assert "a is fused with other members" in refused(_core.part_of, fused, [0])
    assert _core.member_names(_core.part_of(fused, [0, 1])) == ["a", "b"]
    automatic = _spec_of(described(batch_images="auto"), [])
    assert "'batch_images: auto' is measured in each place" in refused(_core.settled, automatic)
    tiles = _spec_of(described(input={"shape": [3, 8, 8], "tiles": {"size": 4}}), [])
    assert "cut into tiles" in refused(_core.segment_images, tiles)
    rows = numpy.full((4, 5), 0.2, numpy.float32)
    assert "given: a; members: a, b" in refused(_core.combine, spec, [("a", rows)])
    assert "given: a, a; members: a, b" in refused(_core.combine, spec, [("a", rows), ("a", rows)])
    assert "b does not have 4 predictions" in refused(_core.combine, spec, [("a", rows), ("b", rows[:3])])
    assert "a and b cannot be combined" in refused(_core.combine, spec, [("a", rows), ("b", rows[:, :4].copy())])
    assert "'a' are a single number" in refused(_core.combine, spec, [("a", numpy.float32(1).reshape(()))])
    empty = rows[:, :0].copy()
    text = refused(_core.combine, spec, [("a", empty), ("b", empty)])
    assert "the predictions of a have no values to combine" in text and "use the rule 'none'" in text
    assert _core.combine(spec_of(combine={"rule": "none"}), [("a", empty), ("b", empty)]).members["a"].shape == (4, 0)
    bad = rows.copy()
    bad[3, 1] = numpy.nan
    with pytest.raises(tutti.FailedError, match="b has NaN or infinity for sample 3"):
        _core.combine(spec, [("a", rows), ("b", bad)])
    with pytest.raises(tutti.FailedError, match="although every member is finite"):
        _core.combine(spec_of(combine={"rule": "sum"}), [(name, numpy.full_like(rows, 3e38)) for name in "ab"])
    assert numpy.isnan(_core.combine(spec_of(on_nan="allow"), [("a", rows), ("b", bad)]).values[3, 1])


def test_a_place_is_known_by_what_bytes_depend_on(tmp_path, monkeypatch):
    spec = spec_of()
    here = _core.fingerprint(spec)
    assert here["version"].startswith(_core.version) and here["members.1.name"] == "b" and "processor" in here
    assert here == _core.fingerprint(_core.parse_spec(spec.yaml, []))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert {*_core.fingerprint(spec)} - {*here} == {"environment MKL_CBWR"}
    lacking = described()
    lacking["members"][0]["model"] = {"kind": "torchscript", "path": str(tmp_path / "none.pt")}
    with pytest.raises(tutti.UsageError, match="a: could not read '.*none.pt'"):
        _core.fingerprint(_spec_of(lacking, []))


def test_the_arrays_of_a_sample_are_known_without_workers():
    assert _core.sample_of(spec_of()) == [("image", "float32", [*SHAPE])]
    several = spec_of(input={"inputs": {"x": {"shape": [4]}, "n": {"shape": [], "dtype": "int64"}}},
                      members=[{"name": "a", "model": {"kind": "fake", "classes": 5}, "takes": ["x", "n"]}])
    assert _core.sample_of(several) == [("x", "float32", [4]), ("n", "int64", [])]


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is there; scripts/check-ray tests with it")
def test_without_ray_the_error_says_what_to_install():
    found = run_python("import tutti.ray")
    assert "ImportError: tutti.ray needs Ray: pip install 'ray[data]'" in found.stderr
