"""The future of a submitted prediction."""

from __future__ import annotations

import concurrent.futures
import os
import time
from typing import TYPE_CHECKING

from ._errors import UsageError

if TYPE_CHECKING:
    from ._core import Pending, Predictions


class Future(concurrent.futures.Future):
    """A `concurrent.futures.Future` of Predictions. `cancel()` gives the prediction up at any time before it is ready;
    what workers already compute of it, they finish, and nobody reads it."""

    _pending: Pending | None = None

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    def _settle(self, predictions: Predictions | None, error: BaseException | None) -> None:
        """Called once, on a thread that waits for the result, or else on one that all predictions share."""
        if not self.set_running_or_notify_cancel():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(predictions)

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self._pending is not None:
            self._pending.stop()
        return cancelled

    def result(self, timeout: float | None = None) -> Predictions:
        timeout = self._wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        timeout = self._wait(timeout)
        return super().exception(timeout)

    def _wait(self, timeout: float | None) -> float | None:
        """Waits for the library itself, which is quicker than for the thread that tells Python. Returns how long the
        caller may still wait."""
        if self._state != "PENDING":
            return timeout
        if os.getpid() != self._process:
            raise UsageError("this prediction belongs to the process that submitted it",
                             "it was not ready when this process was forked, and never will be here",
                             "take results in the process that has the ensemble")
        if self._pending is None or timeout is None:
            if self._pending is not None:
                self._pending.wait(None)
            return None
        end = time.monotonic() + timeout
        self._pending.wait(timeout)
        # Another thread may be about to settle it: what is left of the time is for that.
        return max(0.0, end - time.monotonic())
