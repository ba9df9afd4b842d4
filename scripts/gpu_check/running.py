"""Runs commands with a deadline. A command that is late is killed with its process group."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass


@dataclass
class Outcome:
    """How a command ended."""

    command: list[str]
    code: int | None  # None: it was killed at its deadline; negative: the signal that ended it
    output: str  # of both streams
    seconds: float


class Running:
    """A command at work. What it prints goes into a file, so that a full pipe never stops it."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.command = [str(word) for word in command]
        self._output = tempfile.TemporaryFile()
        self._begin = time.monotonic()
        self._process = subprocess.Popen(self.command, env=env, stdin=subprocess.DEVNULL, stdout=self._output,
                                         stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> bool:
        return self._process.poll() is not None

    def output(self) -> str:
        self._output.flush()
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def finish(self, seconds: float) -> Outcome:
        """Waits for it, `seconds` at most from now."""
        code: int | None
        try:
            code = self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            code = None
            self.kill()
        output = self.output()
        self._output.close()
        return Outcome(self.command, code, output, time.monotonic() - self._begin)

    def kill(self) -> None:
        """Workers of Tutti are in groups of their own; they end with their parent."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


def run(command: list[str], seconds: float, env: dict[str, str]) -> Outcome:
    """Raises OSError if the program cannot be started."""
    return Running(command, env).finish(seconds)


def worker_of(coordinator: int, member: str) -> int | None:
    """The process of a member's worker, if there is one."""
    wanted = f"--member={member}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if parent != coordinator:
                continue
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    return int(name)
        except (OSError, ValueError):
            continue  # it ended meanwhile
    return None
