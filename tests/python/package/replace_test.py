"""Members that get a new version while the ensemble predicts."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy
import pytest
from conftest import SHAPE, described, images, run_python

import tutti
from tutti import _core

NEXT = {"kind": "fake", "classes": 5, "delay_ms": 1}


def seeded(*seeds: int) -> dict:
    """Members that draw from these seeds, so that another one predicts something else."""
    found = described()
    for member, seed in zip(found["members"], seeds):
        member["seed"] = seed
    return found


def expected(opened, *seeds: int) -> numpy.ndarray:
    return opened(seeded(*seeds)).predict(images()).values


def test_a_member_is_replaced_and_what_belongs_to_it_changes(opened):
    ensemble = opened(seeded(1, 2))
    before = ensemble.status().members
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 1, 2))
    ensemble.replace_member("b", seed=7)
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 1, 7))
    ensemble.replace_member("a", {"kind": "fake", "classes": 5}, seed=8)
    ensemble.replace_member("b", "{kind: fake, classes: 5, delay_ms: 1}", seed=9)
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 8, 9))
    after = ensemble.status().members
    assert [member.generation for member in after] == [1, 2] and not {m.pid for m in before} & {m.pid for m in after}
    assert "seed: 8" in ensemble.yaml and "delay_us: 1000" in ensemble.yaml


def test_several_threads_replace_members(opened):
    ensemble = opened(seeded(1, 2))
    barrier = threading.Barrier(4)
    errors = []

    def replace(rank: int) -> None:
        barrier.wait()
        try:
            for seed in range(3):
                ensemble.replace_member("ab"[rank % 2], seed=10 * (rank % 2) + 7)
        except tutti.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=replace, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and [member.generation for member in ensemble.status().members] == [6, 6]
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 7, 17))


def test_predictions_go_on_meanwhile_and_no_old_one_follows_a_new_one(opened):
    ensemble = opened(seeded(1, 2))
    old, new = expected(opened, 1, 2), expected(opened, 1, 3)
    found = []
    replaced = threading.Event()

    def predict() -> None:
        last = False
        while not last:
            last = replaced.is_set()
            found.append(ensemble.predict(images()).values)

    thread = threading.Thread(target=predict)
    thread.start()
    ensemble.replace_member("b", seed=3)
    replaced.set()
    thread.join()
    rows = numpy.concatenate([(one == new).all(1) for one in found])
    assert numpy.array_equal(found[-1], new)
    for one in found:
        assert ((one == old).all(1) | (one == new).all(1)).all()
    assert not (numpy.diff(rows.astype(int)) < 0).any()


def test_mistakes_change_nothing(opened):
    ensemble = opened(seeded(1, 2))
    for name, model, settings, words in (
            ("c", NEXT, {}, "there is no member 'c' to replace"),
            ("b", {"kind": "fake", "classez": 5}, {}, "classez"),
            ("b", {"kind": "fake", "classes": 6}, {}, "member 'b' outputs 6 classes but"),
            ("b", None, {"weight": 2}, "b cannot change its weight while it runs"),
            ("b", None, {"outptu": "logits"}, "outptu"),
            ("b", "b.pt", {}, "a model cannot be 'b.pt'"),
            ("b", 3, {}, "a model cannot be a int")):
        with pytest.raises(tutti.UsageError, match=words):
            ensemble.replace_member(name, model, **settings)
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 1, 2))
    with pytest.raises(tutti.FailedError, match="the new version of b cannot take over"):
        ensemble.replace_member("b", NEXT | {"faults": [{"kind": "exit", "phase": "load"}]})
    assert numpy.array_equal(ensemble.predict(images()).values, expected(opened, 1, 2))


def test_closing_ends_a_replacement(opened):
    ensemble = opened(described())
    errors = []

    def replace() -> None:
        with pytest.raises(tutti.Error) as caught:
            ensemble.replace_member("b", NEXT | {"load_delay_ms": 3_000_000})
        errors.append(caught.value)

    thread = threading.Thread(target=replace)
    thread.start()
    ensemble.close()
    thread.join()
    assert errors[0].message in ("the ensemble was closed before this call finished", "the ensemble is closed")


def test_ctrl_c_gives_a_replacement_up():
    found = run_python("""
        import os, signal, threading, numpy, tutti
        from conftest import described, images
        def children():
            return {pid for task in os.listdir("/proc/self/task")
                    for pid in open(f"/proc/self/task/{task}/children").read().split()}
        with tutti.Ensemble(described()) as ensemble:
            expected = ensemble.predict(images()).values
            def send():
                while len(children()) < 3:
                    pass
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=send).start()
            try:
                ensemble.replace_member("b", {"kind": "fake", "classes": 5, "load_delay_ms": 3_000_000})
            except KeyboardInterrupt:
                print("interrupted")
            print(numpy.array_equal(ensemble.predict(images()).values, expected))
            ensemble.replace_member("b", {"kind": "fake", "classes": 5, "delay_ms": 1})
            print([member.generation for member in ensemble.status().members])
    """)
    assert found.stdout == "interrupted\nTrue\n[0, 1]\n" and found.returncode == 0, found.stderr


def test_other_threads_run_while_a_member_is_replaced(opened):
    ensemble = opened(described())
    counted = []
    done = threading.Event()
    other = threading.Thread(target=lambda: [counted.append(1) for _ in iter(done.is_set, True)])
    other.start()
    before = len(counted)
    ensemble.replace_member("b", NEXT | {"load_delay_ms": 200})
    assert len(counted) - before > 100
    done.set()
    other.join()


def test_a_module_is_exported_and_its_files_end_with_it(opened):
    torch = pytest.importorskip("torch")
    if not _core.torch_version:
        pytest.skip("SKIPPED: this build has no LibTorch backend")
    nets = [torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 5)) for _ in range(4)]

    def mean_of(*some) -> numpy.ndarray:
        with torch.no_grad():
            return torch.stack([net(torch.from_numpy(images())).softmax(1) for net in some]).mean(0).numpy()

    with tutti.Ensemble.from_modules(nets[:2], shape=SHAPE, format="pt") as ensemble:
        folder = ensemble.exports[0].file.parent
        folders = []
        for net in nets[2:]:
            ensemble.replace_member("m1", net, format="pt")
            assert numpy.allclose(ensemble.predict(images()).values, mean_of(nets[0], net), atol=1e-5)
            folders.append(ensemble.exports[-1].file.parent)
        assert [one.name for one in ensemble.exports] == ["m0", "m1"]
        assert folder.is_dir() and not folders[0].exists() and folders[1].is_dir()
        before = {*Path(folders[1].parent).glob("tutti-*")}
        with pytest.raises(tutti.UsageError, match="m1 cannot be exported"):
            ensemble.replace_member("m1", torch.nn.Linear(3, 3), format="pt")
        with pytest.raises(tutti.UsageError, match="m1 is the class Linear"):
            ensemble.replace_member("m1", torch.nn.Linear)
        assert {*Path(folders[1].parent).glob("tutti-*")} == before
        ensemble.replace_member("m1", ensemble.exports[-1].model())  # the same file
        assert folders[1].is_dir() and [one.name for one in ensemble.exports] == ["m0"]
        copied = Path(shutil.copy(folders[1] / "m1.pt", folder / "m2.pt"))
        ensemble.replace_member("m1", {"kind": "torchscript", "path": str(copied)})
        assert not folders[1].exists()
    assert not folder.exists() and not folders[1].exists()
