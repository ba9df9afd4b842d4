"""The exceptions of the package. The library's errors have a kind; each kind is a class here."""

from __future__ import annotations


class Error(Exception):
    """What goes wrong in Tutti. `str()` of it has all three parts, each on a line.

    Attributes
    ----------
    message : str
        What failed, one line.
    detail : str
        The facts; may be empty.
    hint : str
        What to do; may be empty.
    """

    def __init__(self, message: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail, hint)
        self.message, self.detail, self.hint = message, detail, hint

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  detail: {self.detail}"] if self.detail else []
        lines += [f"  hint: {self.hint}"] if self.hint else []
        return "\n".join(lines)


class UsageError(Error, ValueError):
    """The description or the call is wrong: correct it and try again."""


class FailedError(Error, RuntimeError):
    """Something broke while it ran: a worker, a device, a disk."""


class Interrupted(Error):
    """The caller ended it: by closing the ensemble, by a timeout, or by giving the prediction up."""
