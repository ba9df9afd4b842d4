"""An ensemble as a concurrent.futures.Executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading

import numpy
import pytest
from conftest import described, hanging, images

import tutti


def test_it_predicts_where_an_executor_is_wanted(shared):
    expected = shared.predict(images(20)).values
    with tutti.Executor(shared) as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        for future in (executor.submit(shared.predict, images(20)), executor.submit(images(20)),
                       executor.submit(shared.predict, images(20), timeout=60, priority=2),
                       executor.submit(functools.partial(functools.partial(shared.predict, timeout=9), images(20)))):
            assert isinstance(future, tutti.Future) and numpy.array_equal(future.result().values, expected)

        async def run() -> tutti.Predictions:
            return await asyncio.get_running_loop().run_in_executor(executor, shared.predict, images(20))

        assert numpy.array_equal(asyncio.run(run()).values, expected)
    assert len(shared.predict(images(1))) == 1  # it is still open


def test_map_yields_in_order_and_raises_in_turn(shared):
    with tutti.Executor(shared) as executor:
        found = list(executor.map(shared.predict, (images(3, seed) for seed in range(6))))
        for seed, p in enumerate(found):
            assert numpy.array_equal(p.values, shared.predict(images(3, seed)).values)
        found = executor.map(shared.predict, [images(3), images(1)[0], images(3)])
        assert numpy.array_equal(next(found).values, shared.predict(images(3)).values)
        with pytest.raises(tutti.UsageError, match="one sample"):
            next(found)


def test_other_functions_are_refused(shared, opened):
    other = opened(described())
    for fn in (len, lambda samples: samples, other.predict, shared.submit):
        with pytest.raises(tutti.UsageError, match="runs only the predictions of its ensemble") as caught:
            tutti.Executor(shared).submit(fn, images(1))
        assert "ThreadPoolExecutor" in caught.value.hint


def test_leaving_it_waits_and_takes_no_more(opened):
    ensemble = opened(described(delay_ms=50))
    with tutti.Executor(ensemble) as executor:
        futures = [executor.submit(images(8, seed)) for seed in range(4)]
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(images(1))
    executor.shutdown()


def test_what_is_not_ready_can_be_given_up_or_left(opened):
    ensemble = opened(hanging())
    executor = tutti.Executor(ensemble)
    future = executor.submit(images(1))
    executor.shutdown(wait=False)
    assert not future.done()
    executor.shutdown(cancel_futures=True)
    assert future.cancelled() and not executor._futures
    ensemble._runner.wait_until_idle()


def test_a_future_that_is_cancelled_while_shutdown_waits_for_it_does_not_leave_it(opened):
    executor = tutti.Executor(opened(hanging()))
    future = executor.submit(images(1))
    waiting = threading.Event()
    wait_of = future._wait

    def wait(timeout):
        waiting.set()
        return wait_of(timeout)

    future._wait = wait
    thread = threading.Thread(target=lambda: (waiting.wait(), future.cancel()))
    thread.start()
    executor.shutdown()
    thread.join()
    assert future.cancelled()


def test_errors_of_predictions_do_not_leave_shutdown(opened):
    ensemble = opened(hanging())
    with tutti.Executor(ensemble) as executor:
        future = executor.submit(images(1), timeout=0.05)
    with pytest.raises(tutti.Interrupted):
        future.result()
