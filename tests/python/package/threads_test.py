"""Threads, coroutines, signals, forks, and the end of the interpreter."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import signal
import threading
import time
import weakref

import numpy
import pytest
from conftest import described, hanging, images, run_python

import tutti
from tutti import _core, _ensemble

def test_a_future_gives_what_predict_gives(shared):
    future = shared.submit(images(20))
    assert isinstance(future, concurrent.futures.Future)
    assert numpy.array_equal(future.result().values, shared.predict(images(20)).values)
    assert future.done() and not future.cancelled() and future.exception() is None


def test_samples_are_kept_until_the_future_is_done(opened):
    ensemble = opened(described(delay_ms=100))
    given = images(8)
    expected = given.copy()
    kept = weakref.ref(given)
    future = ensemble.submit(given)
    del given
    assert kept() is not None
    assert numpy.array_equal(future.result().values, ensemble.predict(expected).values)
    gc.collect()
    assert kept() is None


def test_many_threads_predict_at_the_same_time(shared):
    expected = shared.predict(images(20)).values
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for p in threads.map(lambda _: shared.predict(images(20)), range(64)):
            assert numpy.array_equal(p.values, expected)


def test_other_threads_run_while_predict_waits(opened):
    ensemble = opened(described(delay_ms=200))
    counted = 0
    done = threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0)

    other = threading.Thread(target=count)
    other.start()
    before = counted
    ensemble.predict(images(8))
    assert counted - before > 100
    done.set()
    other.join()


def test_a_timeout_gives_the_prediction_up(opened):
    ensemble = opened(hanging())
    with pytest.raises(tutti.Interrupted, match="not ready at its deadline"):
        ensemble.predict(images(1), timeout=0.05)
    with pytest.raises(tutti.Interrupted, match="not ready at its deadline"):
        ensemble.submit(images(1), timeout=0.05).result()
    with pytest.raises(concurrent.futures.TimeoutError):
        ensemble.submit(images(1)).result(timeout=0.05)


def test_a_future_can_be_cancelled_before_it_is_ready(opened):
    ensemble = opened(hanging())
    future = ensemble.submit(images(1))
    assert future.cancel() and future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    ensemble._runner.wait_until_idle()  # it was given up, not only forgotten


def test_coroutines_await_predictions(shared):
    async def all_of_them() -> list[tutti.Predictions]:
        return await asyncio.gather(*(shared.predict_async(images(5, seed)) for seed in range(8)))

    for seed, p in enumerate(asyncio.run(all_of_them())):
        assert numpy.array_equal(p.values, shared.predict(images(5, seed)).values)


def test_a_task_that_is_cancelled_gives_its_prediction_up(opened):
    ensemble = opened(hanging())

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ensemble.predict_async(images(1)), timeout=0.05)

    asyncio.run(give_up())
    ensemble._runner.wait_until_idle()


def test_map_yields_in_order_and_takes_few_batches_ahead(shared):
    taken = []

    def batches():
        for seed in range(10):
            taken.append(seed)
            yield images(3, seed)

    predictions = shared.map(batches(), in_flight=3)
    assert taken == []
    for seed, p in enumerate(predictions):
        assert len(taken) == min(10, seed + 3)
        assert numpy.array_equal(p.values, shared.predict(images(3, seed)).values)
    assert seed == 9
    with pytest.raises(tutti.UsageError, match="in_flight must be at least 1"):
        shared.map([], in_flight=0)


def test_map_gives_up_what_is_left_if_the_caller_stops(opened, monkeypatch):
    ensemble = opened(described(delay_ms=300))
    futures = []
    submit = ensemble.submit
    monkeypatch.setattr(ensemble, "submit", lambda samples: futures.append(submit(samples)) or futures[-1])
    predictions = ensemble.map([images(1)] * 9, in_flight=3)
    next(predictions)
    predictions.close()
    assert len(futures) == 3 and all(future.done() for future in futures)


def test_map_takes_the_samples_of_pairs_and_raises_in_turn(shared):
    labelled = [(images(2, seed), [0, 1]) for seed in range(3)] + [(images(2)[0], [0])]
    predictions = shared.map(labelled, in_flight=1)
    assert [len(next(predictions)) for _ in range(3)] == [2, 2, 2]
    with pytest.raises(tutti.UsageError, match="one sample"):
        next(predictions)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_what_a_loader_raises_comes_after_the_batches_before_it(shared, in_flight):
    def batches():
        yield images(2, 0)
        yield images(3, 1)
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        for p in shared.map(batches(), in_flight=in_flight):
            found.append(len(p))
    assert found == [2, 3]
    found.clear()
    with pytest.raises(tutti.UsageError, match="one sample"):
        for p in shared.map([images(2), images(1)[0], images(2)], in_flight=in_flight):
            found.append(len(p))
    assert found == [2]


def test_map_takes_a_loader_of_torch(shared):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(images(20)), torch.arange(20))
    loader = torch.utils.data.DataLoader(data, batch_size=6)
    rows = numpy.concatenate([p.values for p in shared.map(loader)])
    assert numpy.array_equal(rows, shared.predict(images(20)).values)


def test_closing_ends_what_is_running(opened):
    ensemble = opened(hanging())
    future = ensemble.submit(images(1))
    errors = []

    def predict() -> None:
        try:
            ensemble.predict(images(1))
        except tutti.Error as error:
            errors.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    ensemble.close()
    thread.join()
    with pytest.raises(tutti.Interrupted, match="closed before this call finished"):
        future.result()
    assert isinstance(errors[0], (tutti.Interrupted, tutti.UsageError))  # as it came before or after


def test_a_second_close_waits_for_the_first(opened):
    ensemble = opened(described())
    pids = [member.pid for member in ensemble.status().members]
    began = threading.Barrier(8)
    left = []

    def close() -> None:
        began.wait()
        ensemble.close()
        left.append([pid for pid in pids if os.path.exists(f"/proc/{pid}")])

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == [[]] * 8


def test_leaving_the_block_waits_for_what_was_submitted():
    with tutti.Ensemble(described(delay_ms=50)) as ensemble:
        futures = [ensemble.submit(images(8, seed)) for seed in range(4)]
    assert all(len(future.result()) == 8 for future in futures)


def test_an_exception_in_the_block_does_not_wait():
    with pytest.raises(KeyError), tutti.Ensemble(hanging()) as ensemble:
        future = ensemble.submit(images(1))
        raise KeyError
    with pytest.raises(tutti.Interrupted):
        future.result()


def test_a_dropped_ensemble_finishes_what_was_submitted_and_ends_its_workers():
    ensemble = tutti.Ensemble(described(delay_ms=50))
    pids = [member.pid for member in ensemble.status().members]
    runner = weakref.ref(ensemble._runner)
    future = ensemble.submit(images(8))
    del ensemble
    assert len(future.result()) == 8
    del future
    gc.collect()
    _core.wait_for_threads()
    assert runner() is None
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_callbacks_may_submit_and_may_fail(shared):
    second: concurrent.futures.Future = concurrent.futures.Future()

    def again(_: concurrent.futures.Future) -> None:
        shared.submit(images(2)).add_done_callback(lambda done: second.set_result(done.result()))

    shared.submit(images(1)).add_done_callback(again)
    assert len(second.result()) == 2


def test_a_callback_that_waits_holds_no_prediction_up(shared):
    go = threading.Event()
    done = threading.Event()
    shared.submit(images(1)).add_done_callback(lambda _: (go.wait(), done.set()))
    assert len(shared.predict(images(3))) == 3
    assert len(shared.submit(images(4)).result()) == 4
    go.set()
    done.wait()


def ask_in_child(ensemble: tutti.Ensemble, future: tutti.Future, connection) -> None:
    words = []
    for call in (lambda: ensemble.predict(images(1)), ensemble.status, future.result):
        try:
            call()
            words.append("nothing")
        except tutti.UsageError as error:
            words.append(str(error))
    ensemble.close()
    connection.send(words)


def test_a_forked_child_gets_an_error_and_the_parent_goes_ahead(opened):
    ensemble = opened(described(delay_ms=300))
    expected = ensemble.predict(images(8)).values
    pids = [member.pid for member in ensemble.status().members]
    future = ensemble.submit(images(8))
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=ask_in_child, args=(ensemble, future, theirs))
    child.start()
    predict, status, result = ours.recv()
    child.join()
    assert child.exitcode == 0
    assert "belongs to the process that made it" in predict and predict == status
    assert f"was forked from process {os.getpid()}" in predict
    assert "belongs to the process that submitted it" in result
    assert numpy.array_equal(future.result().values, expected)
    assert numpy.array_equal(ensemble.predict(images(8)).values, expected)
    assert [member.pid for member in ensemble.status().members] == pids


def test_a_child_that_forks_and_ends_as_a_program_does_leaves_the_parent_alone(opened):
    ensemble = opened(described())
    expected = ensemble.predict(images(4)).values
    pid = os.fork()
    if pid == 0:
        try:
            del ensemble
            gc.collect()
            _ensemble._close_all()
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert numpy.array_equal(ensemble.predict(images(4)).values, expected)


def test_a_child_can_have_an_ensemble_of_its_own(opened):
    opened(described()).predict(images(1))
    code = os.fork()
    if code == 0:
        try:
            with tutti.Ensemble(described()) as own:
                os._exit(0 if len(own.predict(images(3))) == 3 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(code, 0)[1] == 0


def test_ctrl_c_ends_predict_and_not_the_ensemble():
    found = run_python("""
        import os, signal, threading, tutti
        from conftest import hanging, images
        ensemble = tutti.Ensemble(hanging())
        sent = threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            sent.start()
            ensemble.predict(images(1))
        except KeyboardInterrupt:
            print("interrupted", ensemble.health().ready)
        ensemble._runner.wait_until_idle()
        ensemble.close()
        print("closed")
    """)
    assert found.stdout.split("\n") == ["interrupted True", "closed", ""], found.stderr
    assert found.returncode == 0


def test_ctrl_c_ends_the_start():
    found = run_python("""
        import os, signal, threading, tutti
        from conftest import described
        slow = described()
        slow["members"][0]["model"]["load_delay_ms"] = 3_000_000
        def children():
            return open(f"/proc/self/task/{os.getpid()}/children").read().split() + [
                pid for task in os.listdir("/proc/self/task")
                for pid in open(f"/proc/self/task/{task}/children").read().split()]
        def send():
            while len({*children()}) < 2:
                pass
            os.kill(os.getpid(), signal.SIGINT)
        sent = threading.Thread(target=send)
        sent.start()
        try:
            tutti.Ensemble(slow)
        except KeyboardInterrupt:
            print("interrupted", children())
    """)
    assert found.stdout == "interrupted []\n" and found.returncode == 0, found.stderr  # and long before it was loaded


def test_an_uncaught_ctrl_c_ends_the_program_as_python_does():
    found = run_python("""
        import os, signal, threading, tutti
        from conftest import hanging, images
        ensemble = tutti.Ensemble(hanging())
        threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        ensemble.predict(images(1))
    """)
    assert found.returncode == -signal.SIGINT and "KeyboardInterrupt" in found.stderr


@pytest.mark.parametrize("left", ["", "future = ensemble.submit(images(1))", "del ensemble", "sys.exit()",
                                  "ensemble.submit(images(1)).add_done_callback(print)", "ensemble.close()",
                                  "ensemble.submit(images(1)); del ensemble",
                                  "daemon = threading.Thread(target=ensemble.predict, args=(images(1),), daemon=True); "
                                  "daemon.start(); time.sleep(0.1)"])
def test_the_interpreter_ends_with_an_ensemble_at_work(left):
    found = run_python(f"""
        import sys, threading, time, tutti
        from conftest import hanging, images
        threading.excepthook = lambda error: None
        ensemble = tutti.Ensemble(hanging())
        pids = [member.pid for member in ensemble.status().members]
        print(*pids, flush=True)
        {left}
    """)
    assert found.returncode == 0, found.stderr
    assert "leaked" not in found.stderr, found.stderr
    assert "Fatal" not in found.stderr and "terminate" not in found.stderr, found.stderr
    for pid in found.stdout.split("\n")[0].split():
        assert not os.path.exists(f"/proc/{pid}")


def test_the_interpreter_says_nothing_about_what_daemon_threads_keep():
    found = run_python("""
        import threading, tutti
        from conftest import described, images
        kept = threading.Event()
        def keep():
            ensemble = tutti.Ensemble(described())
            p = ensemble.predict(images(1))
            kept.set()
            threading.Event().wait()
        threading.Thread(target=keep, daemon=True).start()
        kept.wait()
    """, leak_warnings=False)
    assert found.returncode == 0 and found.stderr == "", found.stderr


def test_other_threads_run_and_may_close_while_the_memory_is_measured(opened):
    ensemble = opened(described())
    measured = threading.Event()
    found = []

    def measure() -> None:
        for _ in range(20):
            try:
                found.append(ensemble.status(memory=True).pss_bytes)
            except tutti.UsageError as error:
                found.append(error.message)
            measured.set()

    thread = threading.Thread(target=measure)
    thread.start()
    measured.wait()
    ensemble.close()
    thread.join()
    assert found[0] > 0 and all(one == "the ensemble is closed" or one > 0 for one in found)


@pytest.mark.parametrize("call", ["predict", "submit"])
def test_samples_that_close_the_ensemble_while_they_are_read_end_in_an_error(call):
    found = run_python(f"""
        import tutti
        from conftest import described, images
        ensemble = tutti.Ensemble(described())
        class Closing:
            def keys(self):
                return ["image"]
            def __iter__(self):
                return iter(["image"])
            def __getitem__(self, name):
                ensemble.close()
                return images(3)
        try:
            ensemble.{call}(Closing())
        except tutti.UsageError as error:
            print(error.message)
    """)
    assert found.stdout == "the ensemble is closed\n" and found.returncode == 0, found.stderr


def test_a_result_that_another_thread_is_about_to_set_is_waited_for(opened):
    future = opened(described()).submit(images(1))
    expected = future.result()
    late = tutti.Future()

    class Taken:  # the library is ready, and another thread has taken what it has
        def wait(self, timeout):
            threading.Timer(0.1, lambda: late._settle(expected, None)).start()

    late._pending = Taken()
    assert late.result(timeout=60) is expected


def test_a_callback_that_would_wait_for_other_predictions_is_refused():
    found = run_python("""
        import threading, tutti
        from conftest import described, images
        ensemble = tutti.Ensemble(described(delay_ms=20))
        done = threading.Event()
        def close(future):
            try:
                ensemble.close(wait=True)
            except tutti.UsageError as error:
                print(error.message)
            done.set()
        futures = [ensemble.submit(images(8)) for _ in range(5)]
        futures[0].add_done_callback(close)
        done.wait()
    """)
    assert found.stdout == "a callback of a future cannot wait for other predictions\n", found.stderr


def test_after_the_last_handler_nothing_of_an_ensemble_can_be_used():
    found = run_python("""
        import atexit, tutti
        from conftest import described, images
        def last():  # registered before that of tutti, so it runs after it
            for call in (lambda: tutti.Ensemble(described()), lambda: ensemble.predict(images(1)),
                         lambda: ensemble.submit(images(1))):
                try:
                    call()
                except tutti.Interrupted as error:
                    print(error.message)
        atexit.register(last)
        ensemble = tutti.Ensemble(described())
    """)
    assert found.stdout == "the Python interpreter ends\n" * 3 and found.returncode == 0, found.stderr
