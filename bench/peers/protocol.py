"""The protocol between scripts/bench-peers and its contestants. Measures nothing.

Every contestant is a long-lived child process, so that their runs can be interleaved (ABCABC) while the others idle.
Lines of JSON over the pipes of stdin and stdout, request and reply:

    (no request)                      -> {"ready": {}}: the first reply, when its pool is ready
    {"prepare": {"form", "batch"}}    -> {"prepared": {}}: models made and warm in that form
    {"run": {}}                       -> {"ran": {"seconds": s}}: images in memory to combined probabilities in memory
    {"save": "FILE"}                  -> {"saved": {}}: the last run's predictions, float32 [images, classes]
    end of input                      -> the program ends
    any failure                       -> {"failed": {"text": "..."}}, and it ends
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, TextIO


class ContestantFailed(Exception):
    """A contestant cannot take part; the text is the reason that the tables show."""


def encode(word: str, content: Any) -> bytes:
    return (json.dumps({word: content}) + "\n").encode()


def decode(line: bytes, expected: str) -> Any:
    """The content of the reply `expected`. Raises ContestantFailed if there is another reply or none."""
    try:
        message = json.loads(line)
    except ValueError:
        raise ContestantFailed(f"it replied {line[:80]!r}, which is not JSON") from None
    if isinstance(message, dict) and "failed" in message:
        failed = message["failed"]
        raise ContestantFailed(str(failed.get("text", failed) if isinstance(failed, dict) else failed))
    if not isinstance(message, dict) or expected not in message:
        raise ContestantFailed(f"it replied {line[:80]!r} instead of '{expected}'")
    return message[expected]


class Child:
    """A contestant's process, seen from the parent. It leads a separate process group, which close() ends."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, deadline: float):
        self.deadline = deadline
        self.buffer = b""
        self.log = log
        begin = time.monotonic()
        try:
            with log.open("ab") as errors:
                self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                                env=environment, process_group=0)
        except OSError as error:
            raise ContestantFailed(f"could not start '{command[0]}': {error.strerror}") from None
        try:
            self.receive("ready")
        except ContestantFailed:
            self.close()
            raise
        self.start_seconds = time.monotonic() - begin

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, word: str, content: Any, answer: str) -> Any:
        self.send(word, content)
        return self.receive(answer)

    def send(self, word: str, content: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(encode(word, content))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # receive() reports how it ended

    def receive(self, expected: str) -> Any:
        assert self.process.stdout is not None
        end = time.monotonic() + self.deadline
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            rest = end - time.monotonic()
            if rest <= 0 or not select.select([descriptor], [], [], rest)[0]:
                raise ContestantFailed(f"no '{expected}' within {self.deadline:g} s")
            read = os.read(descriptor, 65536)
            if not read:
                raise ContestantFailed(f"it ended with {self.process.wait()} instead of replying '{expected}'; "
                f"its last line: {last_line(self.log)}")
            self.buffer += read
        line, self.buffer = self.buffer.split(b"\n", 1)
        return decode(line, expected)

    def close(self) -> None:
        """Ends it: closes its input, then, after five seconds, sends SIGKILL to the rest of its group."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1].strip()[:200] if lines else "none"


def private_stdout() -> TextIO:
    """The pipe to the parent, protected from libraries that print: from now on stdout is stderr."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return out


def serve(out: TextIO, prepare: Callable[[str, int], None], run: Callable[[], float],
          save: Callable[[Path], None]) -> None:
    """A contestant's main loop. `run` returns the seconds; an exception of all three is sent to the parent."""

    def say(word: str, content: Any) -> None:
        out.write(encode(word, content).decode())

    say("ready", {})
    for line in sys.stdin:
        try:
            message = json.loads(line)
            if "prepare" in message:
                prepare(message["prepare"]["form"], message["prepare"]["batch"])
                say("prepared", {})
            elif "run" in message:
                say("ran", {"seconds": run()})
            elif "save" in message:
                save(Path(message["save"]))
                say("saved", {})
            else:
                raise ValueError(f"this program cannot '{line.strip()}'")
        except Exception as error:  # any exception of a library is the reason why this contestant is skipped
            say("failed", {"text": reason(error)})
            return


def reason(error: BaseException) -> str:
    """One line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no reason given'}"
