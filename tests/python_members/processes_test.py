"""The process of a Python member: what else is in it, what it weighs, and what happens if the next one differs."""

from __future__ import annotations

import sys

from support import MODULE, MembersTest, described, member, run_tests


class Processes(MembersTest):
    def test_files_that_python_opened_at_its_start_stay_open(self) -> None:
        self.write("site/sitecustomize.py", "import builtins\nbuiltins.kept = open('kept.txt', 'w')\n")
        self.write("mine.py", MODULE + """
def writes():
    kept.write("still mine")
    kept.flush()
    return make()
""")
        self.write("e.yaml", described(member(factory="mine:writes")))
        code, errors = self.finish(self.start("run", "e.yaml", PYTHONPATH=str(self.folder / "site")))
        self.assertEqual(code, 0, errors)
        self.assertEqual((self.folder / "kept.txt").read_text(), "still mine")

    def test_the_fault_handler_of_python_says_where_it_crashed(self) -> None:
        self.write("mine.py", MODULE + """
def crashes():
    import ctypes
    calls = []
    def predict(x):
        calls.append(0)
        if len(calls) == 9: ctypes.string_at(0)
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
""")
        self.write("e.yaml", described(member(factory="mine:crashes"), more="restarts: {limit: 1}\n"))
        _, errors = self.finish(self.start("run", "e.yaml", PYTHONFAULTHANDLER="1"))
        self.assertIn("Fatal Python error: Segmentation fault", errors)
        self.assertIn("in predict", errors)
        self.assertIn("killed by SIGSEGV", errors)

    def test_what_a_thread_keeps_for_itself_lasts_from_the_factory_to_the_last_batch(self) -> None:
        self.write("mine.py", MODULE + """
import threading
LOCAL = threading.local()
def local(scale):
    LOCAL.scale = scale
    return lambda x: x.reshape(len(x), -1) @ WEIGHTS * LOCAL.scale
""")
        self.ran(described(*(member(name, "mine:local", f"arguments: {{scale: {scale}}}")
                             for scale, name in enumerate("ab", 1)), more="workers: [{members: [a, b], mode: threads}]\n"))

    def test_a_model_may_look_at_its_last_batch_when_it_is_destroyed(self) -> None:
        self.write("mine.py", MODULE + """
class keeps:
    def __call__(self, x):
        self.last = x
        return x.reshape(len(x), -1) @ WEIGHTS
    def __del__(self):
        print("it saw", self.last.shape, self.last.sum() > 0, flush=True)
""")
        self.assertIn("[a] it saw (8, 1, 4, 4) True", self.ran(described(member(factory="mine:keeps")).replace("20\n", "16\n")
                                                               .replace("count: 200", "count: 160")))

    def test_only_memory_of_its_own_counts_against_the_bound(self) -> None:
        data = ("input: {dataset: random, count: 300, shape: [3, 256, 256], classes: 3, seed: 3}\nsegment_images: 100\n"
                "batch_images: 25\nslots: 3\n")
        self.write("mine.py", MODULE + """
def large(leak=0):
    def predict(x):
        time.sleep(0.2)
        return x[:, 0, :3, 0] + x.reshape(len(x), -1).sum(1, keepdims=True)
    return predict
""")
        self.ran(described(member(factory="mine:large", beside="max_memory: 70 MB"), data=data))
        self.assertEqual(self.report()["faults"]["deaths"], 0)

    def test_a_replacement_that_cannot_be_made_at_once_is_tried_again(self) -> None:
        self.write("mine.py", MODULE + """
import os
def shaky():
    made = len([n for n in os.listdir(".") if n.startswith("made")])
    open(f"made{made}", "w").close()
    if made in (1, 2): raise ConnectionError("the licence server is away")
    calls = []
    def predict(x):
        calls.append(0)
        if made == 0 and len(calls) == 9: os._exit(7)
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
""")
        errors = self.ran(described(member(factory="mine:shaky")))
        self.assertEqual(errors.count("ConnectionError: the licence server is away"), 4, errors)
        self.ran(described())
        self.assertEqual(self.bytes_of(), self.bytes_of("runs/0002"))


class Words(MembersTest):
    def test_an_interpreter_that_another_program_starts_is_named(self) -> None:
        wrapper = self.write("wrapped", f"#!/bin/sh\n{sys.executable} \"$@\"\n")
        wrapper.chmod(0o755)
        errors = self.ran(described(member().replace(sys.executable, "./wrapped")), code=2)
        self.assertIn("the interpreter is started by another program", errors)
        self.write("wrapped", f"#!/bin/sh\nexec {sys.executable} \"$@\"\n")
        self.ran(described(member().replace(sys.executable, "./wrapped")))

    def test_a_numpy_that_raises_while_it_is_imported_is_told(self) -> None:
        self.write("bad/numpy.py", "raise RuntimeError('built for another machine')\n")
        self.write("e.yaml", described())
        code, errors = self.finish(self.start("run", "e.yaml", PYTHONPATH=str(self.folder / "bad")))
        self.assertEqual(code, 2, errors)
        self.assertIn("has no NumPy that it can import: RuntimeError: built for another machine", errors)

    def test_an_exception_is_told_without_stderr_and_with_text_that_is_no_utf8(self) -> None:
        self.write("mine.py", MODULE + """
def silent():
    import sys
    sys.stderr.close()
    raise ValueError("the reason")
def odd(): raise ValueError("name \\udcff")
""")
        self.assertIn("ValueError: the reason", self.ran(described(member(factory="mine:silent")), code=1))
        self.assertIn("ValueError: name \\udcff", self.ran(described(member(factory="mine:odd")), code=1))

    def test_ready_made_factories_are_found_next_to_a_package_tutti_without_them(self) -> None:
        self.write("old/tutti/__init__.py", "")
        self.write("mine.py", MODULE + "def helped():\n  from tutti.members import threads\n  return make(threads() > 0)\n")
        self.write("e.yaml", described(member(factory="mine:helped")))
        code, errors = self.finish(self.start("run", "e.yaml", PYTHONPATH=str(self.folder / "old")))
        self.assertEqual(code, 0, errors)

    def test_numbers_arrive_with_every_digit(self) -> None:
        self.write("mine.py", MODULE + """
def exact(**given):
    assert given == {"a": 0.48785665652414756, "b": [-1.7976931348623157e308, 3]}, given
    return make()
""")
        self.ran(described(member(factory="mine:exact", more="arguments: {a: 0.48785665652414756, "
                                  "b: [-1.7976931348623157e308, 3]}")))

    def test_a_file_in_a_folder_that_an_argument_names_must_be_the_same_to_continue(self) -> None:
        self.write("net/deep/data.txt", "1")
        self.write("mine.py", MODULE + "def reads(path): return slow(0.02)\n")
        text = described(member(factory="mine:reads", more="arguments: {path: net}"))
        self.write("e.yaml", text)
        program = self.start("run", "e.yaml", "output=here")
        journal = self.folder / "here" / "journal"
        self.eventually(journal.exists)
        before = journal.stat().st_size
        self.eventually(lambda: journal.stat().st_size > before)
        program.kill()
        program.wait()
        self.write("net/deep/data.txt", "2")
        self.assertIn("model of a, file 1: was", self.refused(text, "output=here", "--resume"))
        self.write("net/deep/data.txt", "1")
        self.ran(text, "output=here", "--resume")


if __name__ == "__main__":
    run_tests("numpy")
