"""Samples that Python writes into the memory that the workers read."""

from __future__ import annotations

import gc
import os
import signal
import threading

import numpy
import pytest
from conftest import SHAPE, described, images, run_python

import tutti


def written(ensemble: tutti.Ensemble, samples: numpy.ndarray) -> tutti.Lease:
    lease = ensemble.lease(len(samples))
    with lease as rows:
        rows[...] = samples
    return lease


def test_leased_samples_are_predicted_like_others_and_not_copied(opened):
    ensemble = opened(described())
    expected = ensemble.predict(images(7)).values
    copied = ensemble.status().input_bytes_copied
    lease = ensemble.lease(7)
    assert lease.count == len(lease) == 7 and repr(lease) == "<tutti.Lease of 7 samples>"
    with lease as rows:
        assert rows.shape == (7, *SHAPE) and rows.dtype == numpy.float32 and rows.flags.writeable
        rows[...] = images(7)
    assert numpy.array_equal(lease.submit().result().values, expected)
    assert repr(lease) == "<tutti.Lease of 7 samples, submitted or given back>"
    assert numpy.array_equal(written(ensemble, images(7)).predict().values, expected)
    assert ensemble.status().input_bytes_copied == copied


def test_the_array_is_read_only_after_the_block(opened):
    ensemble = opened(described())
    lease = ensemble.lease(2)
    with lease as rows:
        rows[...] = 0
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1
    with lease as again:  # until it is submitted
        again[...] = images(2)
        with pytest.raises(tutti.UsageError, match="still being written"):
            lease.submit()
    assert numpy.array_equal(lease.predict().values, ensemble.predict(images(2)).values)
    with pytest.raises(tutti.UsageError, match="submitted already"):
        lease.submit()
    with pytest.raises(tutti.UsageError, match="submitted already"), lease:
        pass


def test_an_exception_in_the_block_gives_the_memory_back(opened):
    ensemble = opened(described(slots=2))
    for _ in range(3):
        lease = ensemble.lease(1, timeout=10)
        with pytest.raises(ZeroDivisionError), lease as rows:
            rows[...] = 1 / 0
        with pytest.raises(tutti.UsageError, match="given back already"):
            lease.submit()
        assert not rows.flags.writeable


def test_a_lease_that_is_dropped_gives_its_memory_back_although_its_array_is_kept(opened):
    ensemble = opened(described(slots=2))
    kept = []
    for _ in range(3):
        with ensemble.lease(2, timeout=10) as rows:
            rows[...] = images(2)
        kept.append(rows)
        gc.collect()
    explicit = ensemble.lease(2, timeout=10)
    with pytest.raises(tutti.Interrupted, match="no slot could be leased before the deadline"):
        ensemble.lease(1, timeout=0.05)
    explicit.give_back()
    ensemble.lease(1, timeout=10)


def test_lease_waits_for_a_slot_and_ctrl_c_ends_that(opened):
    ensemble = opened(described(slots=2))
    lease = written(ensemble, images(3))
    got = []
    waiting = threading.Thread(target=lambda: got.append(written(ensemble, images(3)).predict().values))
    waiting.start()
    expected = lease.predict().values
    waiting.join()
    assert numpy.array_equal(got[0], expected)
    held = ensemble.lease(1)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ensemble.lease(1)
    timer.join()
    held.give_back()
    assert ensemble.lease(1, timeout=10).count == 1


def test_wrong_leases_are_refused(opened):
    ensemble = opened(described())
    for count, said in ((0, "at least one sample"), (9, "does not fit into a slot")):
        with pytest.raises(tutti.UsageError, match=said):
            ensemble.lease(count)
    for count in (-1, 1.5, "2", None):
        with pytest.raises(tutti.UsageError, match="the number of samples is a whole number, at least 1, not"):
            ensemble.lease(count)
    with pytest.raises(tutti.UsageError, match="timeout is a number"):
        ensemble.lease(1, timeout="soon")
    with pytest.raises(tutti.UsageError, match="it has one slot"):
        opened(described(slots=1)).lease(1)


def test_a_lease_of_a_closed_ensemble_is_refused_and_its_memory_stays(opened):
    ensemble = opened(described())
    lease = written(ensemble, images(2))
    block = ensemble.lease(2)
    with block as rows:
        rows[...] = 1
        ensemble.close()
        rows[...] = 2
    for call in (lease.submit, lease.predict, lambda: ensemble.lease(1)):
        with pytest.raises(tutti.UsageError, match="the ensemble is closed"):
            call()
    del block, lease
    gc.collect()
    assert (rows == 2).all()


def test_several_arrays_are_a_dict(opened):
    inputs = {"image": {"shape": [2, 3, 3], "dtype": "uint8"}, "ids": {"shape": [5], "dtype": "int64"},
              "half": {"shape": [2], "dtype": "float16"}, "brain": {"shape": [2], "dtype": "bfloat16"},
              "flag": {"shape": [], "dtype": "bool"}}
    member = {"name": "a", "model": {"kind": "fake", "classes": 4}, "takes": ["image", "ids"]}
    found = {"members": [member], "assignment": "cpu", "combine": {"rule": "mean", "over": "logits"},
             "input": {"inputs": inputs}}
    lease = opened(found).lease(3)
    with lease as rows:
        assert [(name, array.shape, str(array.dtype)) for name, array in rows.items()] == [
            ("image", (3, 2, 3, 3), "uint8"), ("ids", (3, 5), "int64"), ("half", (3, 2), "float16"),
            ("brain", (3, 2), "uint16"), ("flag", (3,), "bool")]
        for array in rows.values():
            array[...] = 1
    samples = {name: numpy.ones_like(array) for name, array in rows.items() if name in ("image", "ids")}
    expected = opened({**found, "input": {"inputs": {name: inputs[name] for name in samples}}}).predict(samples)
    assert numpy.array_equal(lease.predict().values, expected.values)


def test_a_forked_child_leaves_the_lease_of_its_parent_alone():
    done = run_python("""
        import os
        import numpy
        import tutti
        from conftest import described, images

        ensemble = tutti.Ensemble(described(slots=2))
        lease = ensemble.lease(2)
        child = os.fork()
        if child == 0:
            said = []
            for call in (lease.submit, lease.__enter__):
                try:
                    call()
                except tutti.UsageError as error:
                    said.append(error.message)
            del lease
            ok = said == ["this ensemble belongs to the process that made it",
                          "this lease belongs to the process that made it"]
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with lease as rows:
            rows[...] = images(2)
        assert numpy.array_equal(lease.predict().values, ensemble.predict(images(2)).values)
        lease = ensemble.lease(1, timeout=10)
        print("done")
    """)
    assert done.stdout == "done\n" and done.stderr == "", done.stderr


def test_leases_that_are_open_at_the_end_of_the_interpreter_do_no_harm():
    done = run_python("""
        import tutti
        from conftest import described

        ensemble = tutti.Ensemble(described())
        lease = ensemble.lease(2)
        rows = lease.__enter__()
    """, leak_warnings=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
