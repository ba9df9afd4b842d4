"""Samples that are written straight into the memory that the workers read."""

from __future__ import annotations

from ._errors import UsageError

TYPE_CHECKING = False  # as that of typing, which takes longer to import than the rest
if TYPE_CHECKING:
    from types import TracebackType

    import numpy

    from ._core import Leased, Predictions, Runner
    from ._future import Future

    Array = numpy.typing.NDArray[numpy.generic]


class Lease:
    """Memory for some samples of an ensemble, which `Ensemble.lease` gives. It is a context manager: the block gets the
    array to write to, or a dict of arrays by name if a sample has several. After the block, submit it.

    Notes
    -----
    The arrays hold whatever was there before: write all of them. When the block ends, they become read-only. Arrays,
    views and tensors that were made from them (`rows[0]`, `torch.from_numpy(rows)`) do not: do not write to these once
    the lease is submitted, because the memory is then the ensemble's, and a later prediction may be in it.

    A lease that is neither submitted nor referred to any more gives its memory back, and so does one whose block
    raises. Use it in one thread at a time.

    Attributes
    ----------
    count : int
        How many samples it is for.

    Examples
    --------
    >>> lease = ensemble.lease(8)
    >>> with lease as rows:
    ...     read_into(rows)
    >>> lease.predict().predicted
    array([7, 2, 1, 0, 4, 1, 4, 9])
    """

    def __init__(self, runner: Runner, leased: Leased) -> None:
        """`Ensemble.lease` makes one."""
        self._runner = runner
        self._leased = leased
        self._written: list[Array] = []

    @property
    def count(self) -> int:
        return self._leased.count

    def __len__(self) -> int:
        return self._leased.count

    def __enter__(self) -> Array | dict[str, Array]:
        arrays = self._leased.arrays()
        self._written += arrays.values()
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._lock()
        if kind is not None:
            self._leased.give_back()

    def _lock(self) -> None:
        for array in self._written:
            array.flags.writeable = False
        self._written.clear()

    def submit(self, *, timeout: float | None = None, priority: int = 0) -> Future:
        """Predicts the samples without waiting, as `Ensemble.submit`: once.

        Raises
        ------
        UsageError
            If it was submitted or given back already, in its own block, or if the ensemble is closed.
        """
        from ._future import Future

        if self._written:
            raise UsageError("the samples of the lease are still being written", "its 'with' block has not ended",
                             "submit it behind the block")
        future = Future()
        future._pending = self._runner.submit_lease(self._leased, future, timeout, priority)
        return future

    def predict(self, *, timeout: float | None = None) -> Predictions:
        """Predicts the samples and waits, as `Ensemble.predict`. Ctrl-C gives the prediction up."""
        future = self.submit(timeout=timeout)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def give_back(self) -> None:
        """Gives the memory back without predicting; nothing can be submitted then."""
        self._lock()
        self._leased.give_back()

    def __repr__(self) -> str:
        return f"<tutti.Lease of {self.count} samples{'' if self._leased.open else ', submitted or given back'}>"


__all__ = ["Lease"]
