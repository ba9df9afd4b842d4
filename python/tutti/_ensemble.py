"""The class Ensemble. The compiled module does the work; this file says what calls mean in Python."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Mapping

from . import _core, _description
from ._errors import Error, UsageError
from ._members import Members, teller_of

TYPE_CHECKING = False  # as that of typing, which takes longer to import than the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from ._core import Event, Health, Predictions, Status
    from ._description import Description, DeviceMap, Files
    from ._future import Future
    from ._lease import Lease
    from ._modules import Exported
    from ._report import Report

_new_future: type[Future] | None = None  # imported with the first submission: it takes longer than all else here
_open: weakref.WeakSet[_core.Runner] = weakref.WeakSet()  # a pending prediction keeps its runner


@atexit.register
def _close_all() -> None:
    """The interpreter must not end under threads that will ask for it."""
    _core.begin_end()  # else a daemon thread could make or use an ensemble after this
    for runner in list(_open):
        runner.close()
    _core.wait_for_threads()


def _spec_of(description: Description, overrides: list[str]) -> _core.Spec:
    if isinstance(description, Mapping):
        return _core.parse_spec(_description.flow(dict(description)), overrides)
    if isinstance(description, str) and _description.is_text(description):
        return _core.parse_spec(description, overrides)
    if isinstance(description, (str, os.PathLike)):
        return _core.load_spec(os.fspath(description), overrides)
    raise UsageError(f"a description cannot be a {type(description).__name__}",
                     "it is a file, YAML text, or a dict", "for files of models there is Ensemble.from_files(files)")


def _changes_of(overrides: Iterable[str], device_map: DeviceMap | None) -> list[str]:
    changes = [*overrides]
    if device_map is not None:
        changes.append("assignment=" + _description.flow(device_map, "device_map"))
    return changes


def _remove_folder(folder: Path, process: int) -> None:
    """Not in a child, where a copy of the ensemble ends too."""
    import shutil

    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _samples_of(item: Any) -> Any:
    """The samples of what a loader yields: of a list or tuple, whose other parts are labels, the first."""
    if isinstance(item, (list, tuple)) and item and not isinstance(item[0], bytes):
        return item[0]
    return item


class Ensemble(Members):
    """An ensemble of models, each in a worker process, that predicts as one.

    Making one starts the workers, and returns when all have loaded their models. Close it, or use it in a `with` block:
    leaving the block waits for what was submitted, unless an exception ended it.

    Parameters
    ----------
    description : path, str or mapping
        The description (docs/configuration.md): a YAML file, YAML text, or the same as a dict.
    overrides : iterable of str
        `key=value` pairs that change it: "members.0.weight=2".
    device_map : mapping, sequence or str, optional
        The devices of the members, by rank or name: {0: "cpu:0", 1: "cpu:1"}, ["cpu:0", "cpu:1"], "auto". Replaces
        the `assignment` of the description.
    trace : path, optional
        A file for a trace, written when the ensemble is closed (docs/trace.md).
    worker : path, optional
        The program tutti-worker. Without it, the one of this installation.
    on_event : callable, optional
        Is called with each `Event`, what happens to the members, one at a time, on the thread that all predictions
        share; so it must not wait for a prediction. What it raises goes to `sys.unraisablehook`. None begins after
        `close()`.

    Raises
    ------
    UsageError
        If the description is wrong; it lists every mistake.
    FailedError
        If a worker cannot be started.

    Attributes
    ----------
    exports : list of Exported
        What `from_modules` exported; else empty.

    Notes
    -----
    Thread-safe. After a fork, the parent's ensemble works as before, and calls in the child raise UsageError.

    Examples
    --------
    >>> with tutti.Ensemble("ensemble.yaml") as ensemble:
    ...     p = ensemble.predict(images)
    >>> p.predicted[:3]
    array([7, 2, 1])
    """

    def __init__(self, description: Description, overrides: Iterable[str] = (), *, device_map: DeviceMap | None = None,
                 trace: str | os.PathLike[str] | None = None, worker: str | os.PathLike[str] | None = None,
                 on_event: Callable[[Event], None] | None = None) -> None:
        if on_event is not None and not callable(on_event):
            raise UsageError(f"on_event cannot be a {type(on_event).__name__}", "it is called with each event",
                             "pass a function of one parameter: on_event=print")
        spec = _spec_of(description, _changes_of(overrides, device_map))
        variables = []
        libraries, possible = spec.libraries(), spec.possible_libraries()
        if libraries or possible:
            from . import _environment

            variables = _environment.worker_variables(libraries, _core.torch_version)
            possible = [library for library in possible if library not in libraries]
            variables += _environment.possible_variables(possible, _core.torch_version)
        self.exports: list[Exported] = []
        self._replacing = threading.Lock()
        self._on_event = on_event
        self._folders: dict[str, weakref.finalize] = {}  # of exported files, by member; "" is that of from_modules
        told = None if on_event is None else teller_of(weakref.ref(self))
        self._runner = _core.Runner(spec, os.fspath(worker or ""), os.fspath(trace or ""), variables, told)
        _open.add(self._runner)

    @classmethod
    def from_files(cls, files: Files, *, shape: Sequence[int] | None = None, device_map: DeviceMap | None = None,
                   on_event: Callable[[Event], None] | None = None, **settings: Any) -> Ensemble:
        """An ensemble of models in files.

        Parameters
        ----------
        files : iterable of paths
            .pt (TorchScript), .pt2 (AOTInductor) or .onnx; each becomes a member that is called as its file.
        shape : sequence of int, optional
            The shape of one sample: (channels, height, width). Needed unless `input` says it.
        device_map, on_event : optional
            As for `Ensemble`.
        **settings
            Other keys of the description: combine={"rule": "vote"}, segment_images=64, input={...}.

        Examples
        --------
        >>> ensemble = tutti.Ensemble.from_files(glob.glob("models/*.pt"), shape=(3, 224, 224))
        """
        return cls(_description.of_files(files, shape, settings), device_map=device_map, on_event=on_event)

    @classmethod
    def from_modules(cls, modules: Iterable[Any] | Mapping[str, Any], *, shape: Sequence[int] | None = None,
                     example: Any = None, device_map: DeviceMap | None = None, format: str = "auto",
                     output: str = "logits", folder: str | os.PathLike[str] | None = None, tolerance: float = 1e-4,
                     on_event: Callable[[Event], None] | None = None, **settings: Any) -> Ensemble:
        """An ensemble of modules of torch. Each is exported to a file that its worker loads, without Python; the line
        that is printed about it says as what, and how far it is from the module. `ensemble.exports` has the same.

        Parameters
        ----------
        modules : iterable or mapping of torch.nn.Module
            Called m0, m1, ..., or by their keys. They are exported in evaluation mode and float32, and stay as they are.
        shape : sequence of int, optional
            The shape of one sample: (channels, height, width). Or give `example`.
        example : array, optional
            A few samples, for their shape.
        device_map, on_event : optional
            As for `Ensemble`.
        format : str
            "pt2" compiles with AOTInductor, which needs a C++ compiler and a minute or so for each module; "pt" is
            TorchScript. "auto": "pt2" if `device_map` puts every member on the CPU and it is possible, else "pt".
        output : str
            What the modules output: "logits", "probabilities", "features" or "values".
        folder : path, optional
            Where the files go and stay. Without it, into a temporary folder that is removed when the ensemble is closed.
        tolerance : float
            The largest difference that is allowed, relative to the largest value of the module if that is above 1.
        **settings
            Other keys of the description: combine={"rule": "vote"}, segment_images=64.

        Raises
        ------
        UsageError
            If a module cannot be exported.
        FailedError
            If the exported file does not agree with it.

        Examples
        --------
        >>> ensemble = tutti.Ensemble.from_modules([m0, m1], shape=(3, 32, 32), device_map={0: "cpu:0", 1: "cpu:1"})
        """
        import tempfile
        from pathlib import Path

        from . import _modules

        found = _modules.named(modules)
        sizes = _modules.shape_of(shape, example)
        formats, reason = _modules.formats_to_try(format, device_map, settings)

        def described(models: Mapping[str, Any]) -> dict[str, Any]:
            members = [{"name": name, "model": model, "output": output} for name, model in models.items()]
            return {"members": members, "input": {"shape": list(sizes)}} | settings

        # A mistake in it should not cost the time of the exports.
        _spec_of(described({name: {"kind": "torchscript", "path": f"{name}.pt"} for name in found}),
                 _changes_of((), device_map))
        place = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="tutti-"))
        place.mkdir(parents=True, exist_ok=True)
        try:
            exports = _modules.export(found, sizes, place.resolve(), formats=formats, reason=reason,
                                      tolerance=tolerance)
            ensemble = cls(described({one.name: one.model() for one in exports}), device_map=device_map,
                           on_event=on_event)
        except BaseException:
            if folder is None:
                _remove_folder(place, os.getpid())
            raise
        ensemble.exports = exports
        if folder is None:
            ensemble._folders[""] = weakref.finalize(ensemble._runner, _remove_folder, place, os.getpid())
        return ensemble

    @property
    def yaml(self) -> str:
        """The description in effect, as YAML; defaults are filled in."""
        return self._runner.spec.yaml

    @property
    def inputs(self) -> list[str]:
        """The names of the arrays of a sample; `["image"]` as a rule. Empty if samples are pictures of any size."""
        return self._runner.inputs()

    def predict(self, samples: Any, *, timeout: float | None = None) -> Predictions:
        """Predicts and waits. Ctrl-C ends the wait, gives the prediction up, and leaves the ensemble as it is.

        Parameters
        ----------
        samples : array, mapping or list of bytes
            An array whose first axis counts the samples: NumPy, torch, or any other with `__dlpack__` or a buffer, on
            the CPU and in C order. Images are (n, channels, height, width), float32 or uint8. Several arrays per
            sample are a dict {name: array}. Encoded pictures (JPEG, PNG, ...) are a list of bytes. Arrays are read
            where they are and copied once, into the memory that all workers share; do not change them meanwhile.
        timeout : float, optional
            Seconds after which the prediction is given up.

        Returns
        -------
        Predictions

        Raises
        ------
        UsageError
            If the samples do not fit the ensemble, or if it is closed.
        Interrupted
            If the time is over, or the ensemble was closed meanwhile.
        FailedError
            If the members cannot predict; it names the member.
        """
        return self._runner.predict(samples, timeout)

    def submit(self, samples: Any, *, timeout: float | None = None, priority: int = 0) -> Future:
        """Predicts without waiting.

        Parameters
        ----------
        samples
            As for `predict`. They are kept until the future is done.
        timeout : float, optional
            Seconds after which the prediction is given up.
        priority : int
            Submissions of a higher priority come first; those of the same take turns.

        Returns
        -------
        concurrent.futures.Future
            Its result is what `predict` returns or raises. Callbacks that are added to it run on a
            thread that all predictions share, so they must not wait for another prediction.
        """
        global _new_future
        if _new_future is None:
            from ._future import Future as _new_future
        future = _new_future()
        future._pending = self._runner.submit(samples, future, timeout, priority)
        return future

    def lease(self, count: int, *, timeout: float | None = None) -> Lease:
        """Memory for some samples, which are written straight to where the workers read them: nothing is copied.

        Parameters
        ----------
        count : int
            How many samples: at least 1, at most `segment_images` (with `coalesce`, the whole batches in it).
        timeout : float, optional
            Seconds after which waiting ends. All `slots` but one can be leased at a time; it waits for one, but in a
            callback of a future, where that is a FailedError.

        Raises
        ------
        UsageError
            If there can be no such lease: with `tiles`, and for pictures that members resize.
        Interrupted
            If the time is over, or the ensemble was closed meanwhile.

        Examples
        --------
        >>> lease = ensemble.lease(8)
        >>> with lease as rows:                 # float32, (8, 3, 32, 32)
        ...     read_into(rows)
        >>> future = lease.submit()
        """
        from ._lease import Lease

        return Lease(self._runner, self._runner.lease(count, timeout))

    async def predict_async(self, samples: Any, *, timeout: float | None = None, priority: int = 0) -> Predictions:
        """`submit` for coroutines. Cancelling the task gives the prediction up."""
        import asyncio

        return await asyncio.wrap_future(self.submit(samples, timeout=timeout, priority=priority))

    def map(self, batches: Iterable[Any], *, in_flight: int = 4,
            samples: Callable[[Any], Any] = _samples_of) -> Iterator[Predictions]:
        """The predictions of each batch, in order. A few batches are predicted at the same time; no more are taken from
        `batches` until one is yielded.

        Parameters
        ----------
        batches : iterable
            Of what `predict` takes, or of tuples and lists of which that is the first part, as
            `torch.utils.data.DataLoader` yields them.
        in_flight : int
            How many batches are submitted at a time, at least 1.
        samples : callable
            Makes the samples of what `batches` yields, if they are elsewhere: `lambda item: item["image"]`.

        Raises
        ------
        What `predict` raises for a batch, in its turn, and what `batches` or `samples` raise, in theirs: the predictions
        of the batches before come first. Batches after it are given up.
        """
        if in_flight < 1:
            raise UsageError(f"in_flight must be at least 1, not {in_flight}")
        return self._mapped(iter(batches), in_flight, samples)

    def _mapped(self, batches: Iterator[Any], in_flight: int, samples: Callable[[Any], Any]) -> Iterator[Predictions]:
        waiting: deque[Future] = deque()
        end = object()
        failed: Exception | None = None
        try:
            while failed is None:
                try:
                    batch = next(batches, end)
                    if batch is end:
                        break
                    waiting.append(self.submit(samples(batch)))
                except Exception as error:
                    failed = error
                if len(waiting) == in_flight:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if failed is not None:
                raise failed
        finally:
            for future in waiting:
                future.cancel()

    def evaluate(self, samples: Any, labels: Any, *, rules: str | Iterable[str] = (),
                 ignore_index: int | None = None, head: str | os.PathLike[str] | None = None) -> Report:
        """Predicts, and compares with labels: each member, and the members under each rule, from one pass. The figures
        are those of `tutti evaluate` (docs/evaluation.md).

        Parameters
        ----------
        samples
            As for `predict`, without encoded pictures.
        labels : array
            Of as many samples. Whole numbers: a class for each, or masks of the shape of the predictions. Numbers, or 0
            and 1 for each of several labels, in the shape of the predictions.
        rules : str or iterable of str
            Combine rules: "mean,vote" or ["mean", "vote"]. Without them, the rule of the ensemble.
        ignore_index : int, optional
            Places of masks with this label do not count. Without it, that of the ensemble's `input`.
        head : path, optional
            For members that are combined over features: the file of the head that turns these into classes, as
            `tutti.export` writes it.

        Returns
        -------
        Report

        Raises
        ------
        UsageError
            If the labels or the head do not fit what the members predict, if a rule cannot be applied, and for ensembles
            that cannot be evaluated like this: with a `cascade`, with `tiles`, or over features without a head.
        FailedError, Interrupted
            As `predict`.

        Notes
        -----
        Other calls go on meanwhile. Ctrl-C gives it up.

        Examples
        --------
        >>> report = ensemble.evaluate(images, labels, rules=["mean", "vote"])
        >>> report["mean"]["accuracy"]
        0.8689
        """
        from . import _report

        return _report.Report(self._runner.evaluate(samples, _report.array_of(labels), _report.listed(rules), ignore_index,
                                                    "" if head is None else os.fspath(head)))

    def replace_member(self, name: str, model: Any = None, *, format: str = "auto", tolerance: float = 1e-4,
                       **settings: Any) -> None:
        """Gives a member a new model while predictions go on: it is loaded and warm before it takes over, between two
        segments. Samples that are taken later get its predictions; a call that runs meanwhile may have some of both.

        Parameters
        ----------
        name : str
            Of the member.
        model : mapping, str or torch.nn.Module, optional
            Its new `model`, as a dict or YAML text: {"kind": "torchscript", "path": "b.pt"}. A module is exported, as by
            `from_modules`. Without it, the files of the member are loaded again, with what is in them now.
        format, tolerance
            Of a module, as for `from_modules`.
        **settings
            What else belongs to the member and changes: output="logits", input={...}, views=[...].

        Raises
        ------
        UsageError
            If the description is wrong, if it changes what cannot change while the ensemble runs (device, weight,
            shape of the output), or if a module cannot be exported.
        FailedError
            If both versions do not fit into memory, or the new one cannot be started or dies before it takes over.
        Interrupted
            If the ensemble is closed meanwhile.

        Notes
        -----
        If it raises, the old version stays; after Ctrl-C, the new one if it had taken over already. While the new one
        is loaded, both need memory. One at a time; other calls wait.

        Examples
        --------
        >>> ensemble.replace_member("resnet", {"kind": "torchscript", "path": "models/resnet-2.pt"})
        """
        from . import _replacing

        _replacing.replace(self, name, model, format, tolerance, settings)

    def status(self, *, memory: bool = False) -> Status:
        """The ensemble as it is now. `memory` also measures the memory of its processes, some milliseconds for each."""
        return self._runner.status(memory)

    def health(self) -> Health:
        """Whether predictions can be made now, for a readiness probe."""
        return self._runner.health()

    def close(self, *, wait: bool = False) -> None:
        """Stops the workers; they are gone when this returns. A second call does nothing but wait for the first. In a
        callback of a future nothing is waited for: the workers end a little later.

        Parameters
        ----------
        wait : bool
            Wait for what was submitted first. Otherwise it ends with Interrupted, as do running calls. Raises
            UsageError in a callback of a future, which would wait for itself, if something is unsettled.
        """
        if wait and not self._runner.is_closed:
            self._runner.wait_until_idle()
        self._runner.close()
        _open.discard(self._runner)
        for remove in [*self._folders.values()]:
            remove()

    def __enter__(self) -> Ensemble:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close(wait=kind is None)

    def __repr__(self) -> str:
        if self._runner.is_closed:
            return "<tutti.Ensemble, closed>"
        try:
            members = self.status().members
        except Error:
            return "<tutti.Ensemble of another process>"
        return f"<tutti.Ensemble of {', '.join(member.name for member in members)}>"


__all__ = ["Ensemble"]
