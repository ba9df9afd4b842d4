"""The future of a submitted prediction."""

from __future__ import annotations

import concurrent.futures
import os
from typing import TYPE_CHECKING

from ._errors import UsageError

if TYPE_CHECKING:
    from ._core import Predictions, Stopper


class Future(concurrent.futures.Future):
    """A `concurrent.futures.Future` of Predictions. `cancel()` gives the prediction up at any time before it is ready;
    what workers already compute of it, they finish, and nobody reads it."""

    _stopper: Stopper | None = None

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    def _settle(self, predictions: Predictions | None, error: BaseException | None) -> None:
        """Called once, on the ensemble's own thread."""
        if not self.set_running_or_notify_cancel():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(predictions)

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self._stopper is not None:
            self._stopper.stop()
        return cancelled

    def result(self, timeout: float | None = None) -> Predictions:
        self._refuse_after_fork()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._refuse_after_fork()
        return super().exception(timeout)

    def _refuse_after_fork(self) -> None:
        if not self.done() and os.getpid() != self._process:
            raise UsageError("this prediction belongs to the process that submitted it",
                             "it was not ready when this process was forked, and never will be here",
                             "take results in the process that has the ensemble")


