"""Members of kind `python`: what they are called with, what they may return, and what a mistake says."""

from __future__ import annotations

import os
import stat
import sys
import unittest

from support import INPUT, MODULE, MembersTest, described, member, run_tests

TENSORS = ("input: {dataset: random, count: 40, inputs: {x: {shape: [4]}, n: {shape: [2], dtype: int64}}}\n"
           "segment_images: 20\nbatch_images: 8\n")


class Calls(MembersTest):
    def test_predictions_are_those_of_the_function(self) -> None:
        import numpy

        self.write("mine.py", MODULE + """
def ends(): return lambda x: numpy.stack([x[:, 0, 0, 0], x[:, 0, 3, 3]], 1)
def first(): return lambda x: x[:, 0, 0, :2]
""")
        data = INPUT.replace("classes: 3", "classes: 2")
        self.ran(described(member(factory="mine:ends"), data=data))
        ends = self.predictions()
        self.ran(described(member(factory="mine:first"), data=data))
        first = self.predictions("runs/0002")
        self.assertEqual(ends.shape, (200, 2))
        self.assertTrue(numpy.array_equal(ends[:, 0], first[:, 0]))
        self.assertEqual(len(numpy.unique(ends)), 400)
        self.assertIn(f"python {sys.version.split()[0]} (numpy {numpy.__version__}", str(self.report()))

    def test_arrays_of_any_order_and_floating_type_become_float32(self) -> None:
        self.write("mine.py", MODULE + """
def double(): return lambda x: (x.reshape(len(x), -1) @ WEIGHTS).astype(numpy.float64)
def fortran(): return lambda x: numpy.asfortranarray(x.reshape(len(x), -1) @ WEIGHTS)
def backwards(): return lambda x: (x.reshape(len(x), -1) @ WEIGHTS)[:, ::-1][:, ::-1]
def nested(): return lambda x: (x.reshape(len(x), -1) @ WEIGHTS).tolist()
class Proba:
    def predict_proba(self, x): return x.reshape(len(x), -1) @ WEIGHTS
    def predict(self, x): raise AssertionError("predict_proba comes first")
class Predict:
    def predict(self, x): return x.reshape(len(x), -1) @ WEIGHTS
""")
        self.ran(described())
        for number, factory in enumerate(["double", "fortran", "backwards", "nested", "Proba", "Predict"], 2):
            with self.subTest(factory):
                errors = self.ran(described(member(factory="mine:" + factory)))
                self.assertEqual(self.bytes_of(f"runs/{number:04}"), self.bytes_of())
                self.assertEqual("its outputs are float64, and are converted to float32" in errors,
                                 factory in ("double", "nested"))

    def test_the_arguments_arrive_with_their_types(self) -> None:
        self.write("mine.py", MODULE + """
def check(**given):
    assert given == {"whole": 3, "number": 1e-3, "flag": True, "text": "3", "none": None,
                     "list": [1, "a", {"deep": False}], "word": "yes"}, given
    return make()
""")
        self.ran(described(member(factory="mine:check", more="arguments: {whole: 3, number: 1e-3, flag: true, text: '3', "
                                  "none: null, list: [1, a, {deep: false}], word: yes}")))

    def test_several_tensors_come_by_place_or_by_name(self) -> None:
        self.write("mine.py", """
def named(): return lambda n, x: x + n.sum(1, keepdims=True, dtype="float32")
def placed(): return lambda x, n: x + n.sum(1, keepdims=True, dtype="float32")
""")
        self.ran(described(member(factory="mine:named", beside="takes: {n: n, x: x}"), data=TENSORS))
        self.ran(described(member(factory="mine:placed", beside="takes: [x, n]"), data=TENSORS))
        self.assertEqual(self.bytes_of(), self.bytes_of("runs/0002"))

    def test_a_module_is_found_next_to_the_description_and_a_file_by_its_path(self) -> None:
        self.write("nets/helper.py", "SCALE = 2\n")
        self.write("nets/forest.py", "import helper\nimport numpy\ndef make(): return lambda x: helper.SCALE * x[:, 0, 0]\n")
        self.write("nets/e.yaml", described(member(factory="forest:make")))
        self.write("f.yaml", described(member(factory="nets/forest.py:make")))
        for description in ("nets/e.yaml", "f.yaml"):
            code, errors = self.finish(self.start("run", description))
            self.assertEqual(code, 0, errors)
        self.assertEqual(self.bytes_of(), self.bytes_of("runs/0002"))

    def test_the_samples_are_read_only_unless_the_member_gets_a_copy(self) -> None:
        self.write("mine.py", MODULE + """
def scribble():
    def predict(x):
        x += 1
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
""")
        errors = self.refused(described(member(factory="mine:scribble")))
        self.assertIn("ValueError: output array is read-only", errors)
        self.assertIn("mine.py:20 in predict: 'x += 1'", errors)
        self.assertIn("set 'copy_input: true' at the member", errors)
        self.ran(described(member(factory="mine:scribble", beside="copy_input: true")))

    def test_random_numbers_come_from_the_seed_and_the_segment(self) -> None:
        self.write("mine.py", """
import random, numpy
def noisy(): return lambda x: numpy.random.rand(len(x), 3) + random.random()
""")
        errors = self.refused(described(member(factory="mine:noisy")))
        self.assertIn("the model gives other outputs when it predicts the same images again", errors)
        self.assertIn("'random: true' in 'model' is for models that do this on purpose", errors)
        self.ran(described(member(factory="mine:noisy", more="random: true")))
        self.ran(described(member(factory="mine:noisy", more="random: true")))
        self.ran(described(member(factory="mine:noisy", more="random: true", beside="seed: 5")))
        self.assertEqual(self.bytes_of("runs/0001"), self.bytes_of("runs/0002"))
        self.assertNotEqual(self.bytes_of("runs/0001"), self.bytes_of("runs/0003"))

    def test_a_factory_that_draws_weights_makes_the_same_model_in_every_process(self) -> None:
        self.write("mine.py", """
import random, numpy
def drawn():
    order = list({"b", "a", "c"})  # the order of a set of texts
    weights = numpy.random.rand(16, 3) * random.random() * (1 + order.index("a"))
    return lambda x: x.reshape(len(x), -1) @ weights
""")
        self.ran(described(member(factory="mine:drawn")))
        self.ran(described(member(factory="mine:drawn")))
        self.assertEqual(self.bytes_of(), self.bytes_of("runs/0002"))

    def test_what_it_prints_is_in_the_log_line_by_line(self) -> None:
        self.write("mine.py", MODULE + """
def talk():
    print("made it")
    import sys, warnings
    warnings.warn("be careful")
    return make()
""")
        errors = self.ran(described(member(name="talker", factory="mine:talk")))
        self.assertIn("info [talker] made it", errors)
        self.assertRegex(errors, r"warning \[talker\] .*UserWarning: be careful")

    def test_members_of_one_interpreter_may_share_a_worker_and_be_replicated(self) -> None:
        two = described(member("a"), member("b", more="arguments: {scale: 2}"))
        self.ran(two)
        for number, workers in enumerate(["[{members: [a, b]}]", "[{members: [a, b], mode: threads}]",
                                          "[{members: [a], replicas: 2}]"], 2):
            with self.subTest(workers):
                self.ran(two + f"workers: {workers}\n")
                self.assertEqual(self.bytes_of(), self.bytes_of(f"runs/{number:04}"))

    def test_a_python_thread_runs_while_the_worker_waits(self) -> None:
        self.write("mine.py", MODULE + """
def threaded():
    import threading
    def work():
        time.sleep(0.05)
        print("the thread is done")
    started = []
    def predict(x):
        if not started:
            started.append(threading.Thread(target=work))
            started[0].start()
        return x.reshape(len(x), -1) @ WEIGHTS
    return predict
""")
        # The other member is slow, so the first waits without holding the interpreter.
        errors = self.ran(described(member("a", "mine:threaded"), member("b", "mine:slow")))
        self.assertIn("[a] the thread is done", errors)


class Mistakes(MembersTest):
    def test_a_factory_that_is_no_name_of_a_function_is_refused_where_it_is_written(self) -> None:
        for factory, said in [("mine", "; the function is missing"), ("a b:make", "; what precedes ':' is not the name"),
                              ("mine:1x", "; what follows ':' is not the name"), ("x/y:make", "; a file ends in .py")]:
            errors = self.refused(described(member(factory=factory)))
            self.assertRegex(errors, r"e\.yaml:2:\d+: 'factory' must be a module or a file, ':' and a function")
            self.assertIn(said, errors)
        self.assertIn("'arguments' must be a map", self.refused(described(member(more="arguments: [1]"))))
        self.assertIn("'arguments' cannot hold .inf", self.refused(described(member(more="arguments: {x: .inf}"))))

    def test_an_interpreter_that_cannot_be_found_is_named_with_its_place(self) -> None:
        def with_python(python: str) -> str:
            return self.refused(described(member().replace(sys.executable, python)))

        self.assertRegex(with_python("python9"), r"e\.yaml:2:\d+: a: there is no Python interpreter 'python9' in PATH")
        self.assertIn("there is no Python interpreter './venv/bin/python'", with_python("./venv/bin/python"))
        (self.folder / "venv").mkdir()
        errors = with_python("./venv")
        self.assertIn("the folder './venv' holds no Python interpreter", errors)
        self.assertIn("python3 -m venv ./venv", errors)
        self.write("plain", "")
        self.assertIn("'./plain' is not a program that this user may start", with_python("./plain"))
        (self.folder / "plain").chmod(0o755)
        self.assertIn("cannot start the Python interpreter", with_python("./plain"))

    def test_a_program_that_is_no_interpreter_is_reported(self) -> None:
        errors = self.ran(described(member().replace(sys.executable, "/bin/true"), more="restarts: {limit: 1}\n"), code=1)
        self.assertIn("a on cpu died while starting: it exited with code 0", errors)

    def test_an_interpreter_that_is_too_old_or_has_no_numpy_says_so(self) -> None:
        """Made up by a module that Python imports at its start."""
        for name, text, said in [
            ("old", "import sys\nsys.version_info = (3, 7, 1)\n", "members of kind 'python' need CPython 3.9 or later"),
            ("other", "import sys\nsys.implementation.name = 'pypy'\n", "is pypy 3."),
            ("bare", "import sys\nsys.modules['numpy'] = None\n", "has no NumPy that it can import"),
            ("foreign", "import sys\nsys.modules['ctypes'] = None\n", "cannot open Tutti's library"),
        ]:
            self.write(name + "/sitecustomize.py", text)
            self.write("e.yaml", described())
            code, errors = self.finish(self.start("run", "e.yaml", PYTHONPATH=str(self.folder / name)))
            self.assertEqual(code, 2, errors)
            self.assertIn("a on cpu failed while starting: ", errors)
            self.assertIn(said, errors)

    def test_a_module_or_function_that_is_not_there_is_named(self) -> None:
        self.write("mine.py", MODULE + "def imports():\n  import sklearnn\ndef fails(): return {}['x']\nvalue = 3\n"
                   "def nothing(): pass\n")
        for factory, said in [
            ("mime:make", "there is no module 'mime', which 'factory' names"),
            ("mine:mkae", "has no 'mkae', which 'factory' names"),
            ("mine:mkae", "did you mean 'make'?"),
            ("nets/x.py:make", "there is no readable file 'nets/x.py'"),
            ("mine:imports", "ModuleNotFoundError: No module named 'sklearnn', at "),
            ("mine:imports", f"{sys.executable} -m pip install sklearnn"),
            ("mine:fails", "KeyError: 'x', at "),
            ("mine:fails", "in fails: 'def fails(): return {}['x']'"),
            ("mine:value", "'mine:value' is an int and not a function"),
            ("mine:nothing", "the factory returned a NoneType, which cannot be called"),
        ]:
            with self.subTest(said):
                errors = self.ran(described(member(factory=factory)), code=1 if factory == "mine:fails" else 2)
                self.assertIn(said, errors)
        self.write("mine.py", "def make(:\n  pass\n")
        self.assertRegex(self.refused(described()), r"failed while starting: SyntaxError: .*, at /.*/mine\.py:1: 'def make\(:'")
        self.write("mine.py", MODULE)
        self.assertIn("got an unexpected keyword argument 'depth'",
                      self.refused(described(member(factory="mine:slow", more="arguments: {depth: 3}"))))

    def test_arrays_of_the_wrong_shape_or_type_are_refused_at_the_start(self) -> None:
        self.write("mine.py", MODULE + """
def classes(): return lambda x: (x.reshape(len(x), -1) @ WEIGHTS).argmax(1)
def flat(): return lambda x: (x.reshape(len(x), -1) @ WEIGHTS).ravel()
def whole(): return lambda x: numpy.zeros((len(x), 3), int)
def none(): return lambda x: None
def map(): return lambda x: {"logits": x}
def ragged(): return lambda x: [[1.0], [1.0, 2.0]]
def grows():
    calls = []
    def predict(x):
        calls.append(0)
        return numpy.zeros((len(x), 3 if len(calls) < 5 else 4), numpy.float32)
    return predict
""")
        for factory, said in [
            ("classes", "type int64"), ("classes", "let the model output scores"), ("flat", "let the model keep the axis"),
            ("whole", "type int64"), ("none", "the model returned None instead of an array"),
            ("map", "the model returned a dict instead of an array"), ("ragged", "the model returned a list that is not"),
            ("grows", "needed for a batch of 8 images of 1x4x4: shape [8, 3], as in the batches before"),
        ]:
            with self.subTest(said):
                self.assertIn(said, self.refused(described(member(factory="mine:" + factory))))

    def test_a_nan_is_an_error_that_names_member_and_image(self) -> None:
        self.write("mine.py", "import numpy\ndef nan(): return lambda x: numpy.where(x[:, 0, 0] > 0.99, numpy.nan, 1)\n")
        self.assertRegex(self.ran(described(member(factory="mine:nan")), code=1), r"a .*NaN")

    def test_members_of_different_interpreters_or_libraries_cannot_share_a_worker(self) -> None:
        other = member("b").replace(sys.executable, "/usr/bin/python3")
        self.assertIn("their 'python' differs", self.refused(described(member(), other, more="workers: [{members: [a, b]}]\n")))
        onnx = "  - {name: b, model: {kind: onnx, path: x.onnx}}\n"
        self.assertIn("one computes with Python, the other with ONNX Runtime",
                      self.refused(described(member(), onnx, more="workers: [{members: [a, b]}]\n")))

    def test_a_python_member_cannot_be_trained(self) -> None:
        self.write("e.yaml", described())
        code, errors = self.finish(self.start("train", "e.yaml"))
        self.assertEqual(code, 2, errors)
        self.assertIn("python", errors)

    def test_a_changed_factory_file_argument_or_file_of_an_argument_is_no_continuation(self) -> None:
        self.write("data.txt", "1")
        module = MODULE + "def reads(path, scale=0.02): return slow(scale)\n"
        self.write("mine.py", module)
        text = described(member(factory="mine:reads", more="arguments: {path: data.txt}"))
        self.write("e.yaml", text)
        program = self.start("run", "e.yaml", "output=here")
        journal = self.folder / "here" / "journal"
        self.eventually(journal.exists)
        before = journal.stat().st_size
        self.eventually(lambda: journal.stat().st_size > before)
        program.kill()
        program.wait()
        for change, said in [(lambda: self.write("data.txt", "2"), "model of a, file 1: was"),
                             (lambda: self.write("mine.py", module + "\n"), "model of a: was")]:
            change()
            self.assertIn(said, self.refused(text, "output=here", "--resume"))
        self.assertIn("members.0.model.arguments.scale: was nothing, now 0",
                      self.refused(text.replace("path: data", "scale: 0, path: data"), "output=here", "--resume"))
        self.write("data.txt", "1")
        self.write("mine.py", module)
        self.ran(text, "output=here", "--resume")


if __name__ == "__main__":
    run_tests("numpy")
