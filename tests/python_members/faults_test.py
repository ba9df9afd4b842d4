"""Members of kind `python` whose process dies, hangs, ends or copies itself: no byte of the result changes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support import MODULE, MembersTest, children_of, described, member, run_tests

# Runs `deed` once in all processes, in the third batch of the first process that gets there.
ONCE = MODULE + '''
import ctypes, os, sys

def once(deed):
    calls = []
    def predict(x):
        calls.append(0)
        if len(calls) == 9:
            try:
                os.unlink("token")
            except FileNotFoundError:
                pass
            else:
                exec(deed)
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
'''


class Faults(MembersTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("mine.py", ONCE)

    def struck(self, deed: str, more: str = "") -> str:
        """A run in which `deed` happens once; its result must be that of an undisturbed run."""
        text = described(member(factory="mine:once", more=f'arguments: {{deed: "{deed}"}}'), more=more)
        self.ran(text, "output=whole")
        self.write("token", "")
        errors = self.ran(text, "output=struck")
        self.assertFalse((self.folder / "token").exists(), "the fault did not happen")
        self.assertEqual(self.bytes_of("whole"), self.bytes_of("struck"))
        return errors

    def test_a_killed_interpreter_is_replaced(self) -> None:
        text = described(member("a", "mine:slow"), member("b", "mine:slow")).replace("count: 200", "count: 4000")
        self.ran(text, "output=whole")
        program = self.start("run", "e.yaml", "output=struck")
        workers: list[int] = []

        def running() -> bool:
            workers[:] = children_of(program.pid)
            return len(workers) == 2 and (self.folder / "struck" / "journal").exists()

        self.eventually(running)
        os.kill(workers[0], signal.SIGKILL)
        code, errors = self.finish(program)
        self.assertEqual(code, 0, errors)
        self.assertIn("killed by SIGKILL", errors)
        self.assertEqual(self.bytes_of("whole"), self.bytes_of("struck"))

    def test_an_exception_is_told_with_its_place_and_tried_again(self) -> None:
        errors = self.struck("raise ValueError('no more')")
        self.assertIn("a on cpu failed on segment 1: ValueError: no more, at ", errors)
        self.assertIn("mine.py:30 in predict: 'exec(deed)'; replacement started", errors)
        self.assertIn("[a] Traceback (most recent call last):", errors)

    def test_sys_exit_and_os_exit_are_deaths_like_any_other(self) -> None:
        self.assertIn("a on cpu failed on segment 1: the code of the member called sys.exit(0)", self.struck("sys.exit(0)"))
        self.assertIn("a on cpu died: exited with code 0 on segment 1", self.struck("os._exit(0)"))
        self.assertIn("killed by SIGSEGV on segment 1", self.struck("ctypes.string_at(0)"))
        self.assertIn("info [a] last words", self.struck("print('last words'); os.kill(os.getpid(), 9)"))
        self.assertIn("killed by SIGABRT on segment 1", self.struck("os.abort()"))

    def test_a_hang_is_found_whether_it_keeps_the_gil_or_not(self) -> None:
        for deed in ("time.sleep(1000)", "ctypes.PyDLL(None).sleep(1000)", "threading = __import__('threading'); "
                     "threading.Lock().acquire(); lock = threading.Lock(); lock.acquire(); lock.acquire()"):
            with self.subTest(deed):
                self.assertIn("made no progress for ", self.struck(deed, "progress_deadline_s: 1\n"))

    def test_a_copy_of_the_process_does_not_go_on_as_the_worker(self) -> None:
        errors = self.struck("os.fork()")
        self.assertIn("a copy of the worker's process, made by os.fork(), returned from the model and was ended", errors)
        self.assertNotIn("replacement", errors)

    def test_processes_that_the_model_starts_work_and_end_with_the_worker(self) -> None:
        self.write("mine.py", MODULE + '''
import multiprocessing

def rows(x): return x.reshape(len(x), -1) @ WEIGHTS

def pooled(method):
    pool = multiprocessing.get_context(method).Pool(1)
    return lambda x: pool.apply(rows, (numpy.array(x),))
''')
        for method in ("fork", "spawn"):
            self.ran(described(member(factory="mine:pooled", more=f"arguments: {{method: {method}}}")))
        self.ran(described())
        self.assertEqual(self.bytes_of(), self.bytes_of("runs/0003"))
        self.assertEqual(self.bytes_of("runs/0002"), self.bytes_of("runs/0003"))
        left = [pid for pid in Path("/proc").glob("[0-9]*") if str(self.folder) in link(pid / "cwd")]
        self.assertEqual(left, [])

    def test_a_sample_that_always_fails_is_set_aside(self) -> None:
        self.write("mine.py", MODULE + '''
def picky():
    first = []
    def predict(x):
        first.append(0)
        if len(first) > 4 and (x[:, 0, 0, 0] > 0.99).any():
            raise ValueError("this one again")
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
''')
        errors = self.ran(described(member(factory="mine:picky")), code=3)
        self.assertIn("this one again", errors)
        self.assertIn("set aside", errors)

    def test_a_member_that_always_fails_ends_the_run_with_its_words(self) -> None:
        self.write("mine.py", MODULE + '''
def broken():
    calls = []
    def predict(x):
        calls.append(0)
        if len(calls) > 4: raise RuntimeError("it is broken")
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
''')
        errors = self.ran(described(member(factory="mine:broken")), code=1)
        self.assertIn("RuntimeError: it is broken", errors)

    def test_nothing_is_left_when_the_coordinator_is_killed(self) -> None:
        self.write("e.yaml", described(member(factory="mine:slow", more="arguments: {seconds: 0.5}")))
        program = self.start("run", "e.yaml", "output=killed")
        self.eventually(lambda: (self.folder / "killed" / "journal").exists())
        workers = children_of(program.pid)
        self.assertEqual(len(workers), 1)
        program.kill()
        program.wait()
        self.eventually(lambda: not Path(f"/proc/{workers[0]}").exists() or link(Path(f"/proc/{workers[0]}/exe")) == "")


def link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


if __name__ == "__main__":
    run_tests("numpy")
