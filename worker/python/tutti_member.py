"""What is done around the user's code in a worker of Tutti: the factory is found and called, and its model is called for
each batch. The worker calls it, in C++; the user's code need not know of it.

What the worker calls returns a tuple that begins with a Reply (python_model.cpp) and raises nothing."""

import difflib
import functools
import importlib
import importlib.util
import json
import linecache
import os
import platform
import random
import sys
import traceback

import numpy

DONE = (0,)
TEXT, SHAPE, FAILED = 1, 2, 3

# Packages whose version can change what a model predicts, if it has imported them.
VERSIONED = ("sklearn", "xgboost", "lightgbm", "catboost", "torch", "torchvision", "transformers", "tensorflow", "keras",
             "jax", "scipy", "pandas", "joblib", "timm", "onnxruntime", "cv2", "PIL")
# How packages are called where they are not called like their module.
PACKAGES = {"sklearn": "scikit-learn", "cv2": "opencv-python", "PIL": "pillow", "skimage": "scikit-image",
            "yaml": "pyyaml"}
MOST_TEXT = 2000


class Problem(Exception):
    """Something that the user can put right: `text` says what is wrong, `hint` what to do."""

    def __init__(self, text, hint=""):
        super().__init__(text)
        self.hint = hint


# ---- what the user's code raises ------------------------------------------------------------------------------------


def place_of(error):
    """", at my_models.py:12 in predict: 'return net(x)'": the last line of the user's own code in the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename != __file__ and not frame.filename.startswith("<")]
    own = [frame for frame in frames if "site-packages" not in frame.filename and "dist-packages" not in frame.filename
           and not frame.filename.startswith(os.path.dirname(os.__file__))]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f", at {frame.filename}:{frame.lineno} in {frame.name}" + (f": '{line}'" if line else "")


def surely_described(error):
    """Whether it would be raised in every process, so that a replacement would not help."""
    return isinstance(error, ModuleNotFoundError) or is_write(error)


def is_write(error):
    return isinstance(error, ValueError) and "read-only" in str(error)


def hint_for(error):
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.split(".")[0]
        return (f"install it into the environment of the member: {sys.executable} -m pip install "
                f"{PACKAGES.get(top, top)}")
    if is_write(error):
        return ("the arrays that a model gets are shared by all members: copy what it changes, or set "
                "'copy_input: true' at the member")
    return ""


def print_traceback(error):
    begin = error.__traceback__
    while begin is not None and begin.tb_frame.f_code.co_filename == __file__:  # the user's own code says more
        begin = begin.tb_next
    try:
        traceback.print_exception(type(error), error, begin)
    except Exception:  # the user's code may have closed sys.stderr
        pass


def failed(text, hint, surely_described=False):
    """The reply: texts in UTF-8, whatever a path or a message holds; and whether another process would say the same."""
    shown = [part.encode("utf-8", "backslashreplace").decode("utf-8") for part in (text, hint)]
    return (FAILED, *shown, 1 if surely_described else 0)


def caught(error):
    """The reply for an exception, whose traceback goes to the log."""
    if isinstance(error, MemoryError):
        return failed("MemoryError: Python got no memory" + place_of(error),
                      "run fewer members on this machine, or lower 'batch_images' or 'segment_images'")
    if isinstance(error, Problem):
        return failed(str(error), error.hint, True)
    if isinstance(error, SyntaxError):  # of a module, of which no line has run
        line = f": '{error.text.strip()}'" if error.text else ""
        return failed(f"{type(error).__name__}: {error.msg}, at {error.filename}:{error.lineno}{line}", "", True)
    if isinstance(error, SystemExit):
        what = f"the code of the member called sys.exit({error.code!r})"
    else:
        what = "".join(traceback.format_exception_only(type(error), error)).strip()
        print_traceback(error)
    return failed(what[:MOST_TEXT] + place_of(error), hint_for(error), surely_described(error))


def replies(function):
    @functools.wraps(function)
    def guarded(*arguments):
        try:
            return function(*arguments)
        except BaseException as error:
            return caught(error)

    return guarded


# ---- the factory ----------------------------------------------------------------------------------------------------


def nearest(name, names):
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def import_file(path):
    if not os.path.isfile(path):
        raise Problem(f"there is no file '{path}', which 'factory' names",
                      "relative paths start at the current folder; ${here}/ is the folder of the YAML file")
    path = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(path))  # for what it imports itself
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def import_named(name, folder):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise  # something that it imports is missing
        raise Problem(f"there is no module '{name}', which 'factory' names",
                      f"it is looked for in '{os.path.abspath(folder)}' ('folder' in 'model') and among the packages of "
                      f"{sys.executable}; a file is named by its path: nets/forest.py:make") from None


def find_factory(description):
    module_name, _, function_name = description["factory"].rpartition(":")
    folder = description["folder"] or "."
    if os.path.abspath(folder) not in sys.path:
        sys.path.insert(0, os.path.abspath(folder))
    module = import_file(module_name) if module_name.endswith(".py") else import_named(module_name, folder)
    factory = getattr(module, function_name, None)
    if factory is None:
        where = getattr(module, "__file__", None) or module_name
        raise Problem(f"'{where}' has no '{function_name}', which 'factory' names",
                      "correct the name behind ':'" + nearest(function_name, [n for n in vars(module) if n[0] != "_"]))
    if not callable(factory):
        raise Problem(f"'{description['factory']}' is {a_type(factory)} and not a function",
                      "'factory' names a function that returns the model")
    return factory


def a_type(value):
    name = type(value).__name__
    return ("an " if name[0] in "aeiouAEIOU" else "a ") + name


def function_of(model):
    """What computes the predictions of whatever the factory returned."""
    for name in ("predict_proba", "predict"):
        method = getattr(model, name, None)
        if callable(method) and not (name == "predict" and callable(model)):
            return method
    if callable(model):
        return model
    raise Problem(f"the factory returned {a_type(model)}, which cannot be called",
                  "let it return a function of a batch, or an object with predict_proba() or predict()")


def backend():
    versions = [f"numpy {numpy.__version__}"]
    for name in VERSIONED:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions.append(f"{name} {version}")
    return f"python {platform.python_version()} ({', '.join(versions)})"


def set_seed(seed, model=None):
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % 2**63)
    own = getattr(model, "seed", None)
    if callable(own):
        own(seed)


# ---- the model ------------------------------------------------------------------------------------------------------


def array_of(result):
    """A NumPy array of what the model returned, without a copy if there is one inside."""
    if isinstance(result, numpy.ndarray):
        return result
    if hasattr(result, "detach"):  # of torch
        result = result.detach()
        if result.dtype.is_floating_point and str(result.dtype) == "torch.bfloat16":
            result = result.float()
        return result.cpu().numpy()
    if result is None:
        raise Problem("the model returned None instead of an array", "does its function end without 'return'?")
    if isinstance(result, (dict, str, set)):
        raise Problem(f"the model returned {a_type(result)} instead of an array",
                      "return one array with a prediction for each sample")
    try:
        return numpy.asarray(result)
    except ValueError as error:
        raise Problem(f"the model returned {a_type(result)} that is not an array: {error}",
                      "return one array with a prediction for each sample") from None


def is_floating(array):
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"  # of ml_dtypes


class Member:
    def __init__(self, description):
        set_seed(description["seed"])
        factory = find_factory(description)
        try:
            model = factory(**json.loads(description["arguments"]))
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # not from inside of it
                raise Problem(f"'{description['factory']}' cannot be called with the arguments of the description: "
                              f"{error}", "correct 'arguments' in 'model'") from None
            raise
        self.model = model
        self.function = function_of(model)
        self.copies = description["copy_input"]
        takes = description["takes"]
        self.dims = [tuple(taken["dims"]) for taken in takes]
        self.types = [numpy.dtype(taken["dtype"]) for taken in takes]
        self.names = [taken["as"] for taken in takes]
        self.named = all(self.names)
        self.outputs = {}  # sizes of a prediction, by those of the first tensor
        self.kept = None

    def compute(self, count, views):
        arrays = [numpy.ndarray((count, *dims), dtype, view)
                  for dims, dtype, view in zip(self.dims, self.types, views)]
        if self.copies:
            arrays = [array.copy() for array in arrays]
        if self.named:
            return array_of(self.function(**dict(zip(self.names, arrays))))
        return array_of(self.function(*arrays))

    @staticmethod
    def describe(array):
        return (SHAPE, array.dtype.name, 1 if is_floating(array) else 0, *array.shape)

    # ---- called by the worker

    @replies
    def predict(self, count, views, output):
        array = self.compute(count, views)
        if array.shape != (count, *self.outputs[self.dims[0]]) or not is_floating(array):
            return self.describe(array)
        numpy.copyto(numpy.ndarray(array.shape, numpy.float32, output), array, casting="unsafe")
        return DONE

    @replies
    def probe(self, count, views):
        self.kept = self.compute(count, views)
        self.outputs[self.dims[0]] = self.kept.shape[1:]
        return self.describe(self.kept)

    @replies
    def take(self, output):
        array, self.kept = self.kept, None
        numpy.copyto(numpy.ndarray(array.shape, numpy.float32, output), array, casting="unsafe")
        return DONE

    @replies
    def seed(self, seed):
        set_seed(seed, self.model)
        return DONE

    @replies
    def expect(self, dims):
        self.dims[0] = tuple(json.loads(dims))
        return DONE


@replies
def load(description):
    member = Member(json.loads(description))
    return (TEXT, member, backend())
