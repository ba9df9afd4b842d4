"""An ensemble where a `concurrent.futures.Executor` is wanted."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any

from ._errors import Error, UsageError
from ._future import Future

if TYPE_CHECKING:
    from ._ensemble import Ensemble


class Executor(concurrent.futures.Executor):
    """A `concurrent.futures.Executor` that runs the predictions of an ensemble, and nothing else. For libraries and
    functions that take an executor; otherwise `Ensemble.submit` and `Ensemble.map` do the same.

    Parameters
    ----------
    ensemble : Ensemble
        Stays the caller's: `shutdown()` does not close it.

    Notes
    -----
    The function is `ensemble.predict`, or is left out. Others are a UsageError, because they would run in this process:
    that is what `concurrent.futures.ThreadPoolExecutor` is for. There are no threads and no queue here: everything is
    handed to the ensemble at once.

    Thread-safe.

    Examples
    --------
    >>> with tutti.Executor(ensemble) as executor:
    ...     future = executor.submit(ensemble.predict, images)
    ...     for p in executor.map(ensemble.predict, batches): ...
    >>> p = await asyncio.get_running_loop().run_in_executor(executor, ensemble.predict, images)
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._lock = threading.RLock()  # a future may be done, and tell, before add_done_callback() returns
        self._futures: set[Future] = set()
        self._is_shut_down = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        """Predicts without waiting.

        Parameters
        ----------
        fn
            `ensemble.predict`, followed by the samples, also as a functools.partial of it; or the samples themselves.
        **kwargs
            `timeout` and `priority`, as of `Ensemble.submit`.

        Raises
        ------
        RuntimeError
            After `shutdown()`.
        UsageError
            For another function. What `Ensemble.submit` raises is raised by the future, and so by `map` in its turn.
        """
        while isinstance(fn, functools.partial):
            fn, args, kwargs = fn.func, (*fn.args, *args), fn.keywords | kwargs
        if callable(fn):
            if fn != self._ensemble.predict:
                raise UsageError("this executor runs only the predictions of its ensemble",
                                 f"it was given {getattr(fn, '__qualname__', fn)!s}",
                                 "pass ensemble.predict, or use a concurrent.futures.ThreadPoolExecutor")
        else:
            args = (fn, *args)
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot submit a prediction after shutdown() of the executor")
            try:
                future = self._ensemble.submit(*args, **kwargs)
            except Error as error:  # as of a function that raises
                future = Future()
                future.set_exception(error)
                return future
            self._futures.add(future)
        future.add_done_callback(self._forget)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more predictions. The ensemble stays open.

        Parameters
        ----------
        wait : bool
            Return when all that were submitted here are ready.
        cancel_futures : bool
            Give up those that are not.
        """
        with self._lock:
            self._is_shut_down = True
            futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            for future in futures:
                with contextlib.suppress(concurrent.futures.CancelledError):  # also of one that is cancelled meanwhile
                    future.exception()

    def _forget(self, future: concurrent.futures.Future) -> None:
        with self._lock:
            self._futures.discard(future)  # type: ignore[arg-type]
