"""The part of Ensemble about members that come and go while it predicts."""

from __future__ import annotations

from collections.abc import Mapping

from . import _core, _description
from ._errors import Interrupted, UsageError

TYPE_CHECKING = False  # as that of typing, which takes longer to import than the rest
if TYPE_CHECKING:
    import threading
    import weakref
    from collections.abc import Callable
    from typing import Any

    from ._core import Event


def teller_of(members: weakref.ref[Members]) -> Callable[[Event], None]:
    """What calls `on_event`. The compiled module keeps it and knows of no cycles, so it must not keep the ensemble."""

    def tell(event: Event) -> None:
        ensemble = members()
        if ensemble is not None and ensemble._on_event is not None:
            ensemble._on_event(event)

    return tell


class Members:
    """What Ensemble has of it."""

    _runner: _core.Runner
    _on_event: Callable[[Event], None] | None
    _replacing: threading.Lock  # held by what changes members

    def add_member(self, member: Mapping[str, Any] | str, *, device: Any = None) -> None:
        """Adds a member, the last, while predictions go on: it is loaded and warm when this returns. Calls that begin
        later are answered by all members, and those that began before by the members of then.

        Parameters
        ----------
        member : mapping or str
            An entry of `members`, as a dict or YAML text: {"name": "c", "model": {...}, "weight": 2}.
        device : str, optional
            Where it predicts: "cpu", "cpu:0-3", "cuda:1". Without it, on the first GPU if there is one, else on the CPU.

        Raises
        ------
        UsageError
            If the description is wrong, if the model outputs another shape, if the member has `stages` or leaves its
            form open, if `batch_images` is auto, or if members of this ensemble stay: it has `cascade`, `quorum`,
            `coalesce` or saved predictions.
        FailedError
            If it needs more memory than there is, or cannot be started.
        Interrupted
            If the ensemble is closed meanwhile.

        Notes
        -----
        If it raises, the ensemble stays as it is; after Ctrl-C, `status()` says whether the member had joined already.

        Examples
        --------
        >>> ensemble.add_member({"name": "resnet-2", "model": {"kind": "torchscript", "path": "models/resnet-2.pt"}})
        """
        if isinstance(member, Mapping):
            member = _description.flow(dict(member), "member")
        if not isinstance(member, str):
            raise UsageError(f"a member cannot be a {type(member).__name__}", "it is a dict or YAML text",
                             'for a file: {"name": "c", "model": {"kind": "torchscript", "path": "c.pt"}}')
        self._check_here()
        with self._replacing:
            self._check_open()
            self._runner.add_member(member, _description.flow(device, "device"))

    def remove_member(self, name: str) -> None:
        """Removes a member: calls that begin later are answered without it. Returns at once; its worker leaves, and its
        memory is free, when the calls that began before have ended. It waits only for another change of members.

        Raises
        ------
        UsageError
            If there is no such member, if it is the last one, if the rule cannot combine the others, or if members of
            this ensemble stay (`add_member`).
        """
        self._check_here()
        with self._replacing:
            self._check_open()
            self._runner.remove_member(name)

    def _check_here(self) -> None:
        """Before `_replacing` is taken: in a process that was forked, perhaps nobody lets go of it."""
        self._runner.status(False)  # raises UsageError there, and if the ensemble is closed

    def _check_open(self) -> None:
        if self._runner.is_closed:
            raise Interrupted("the ensemble was closed before this call finished")
