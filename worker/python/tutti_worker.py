"""Becomes a worker of Tutti in this interpreter. tutti-worker starts it, and nobody else.

Written for any Python, so that one that is too old can say so."""

import os
import sys

CONTROL = 3  # kControlFd of common/wire/spawn_contract.hpp
OLDEST = (3, 9)


def give_up(text, hint):
    """Tells the coordinator what is wrong with this interpreter, and ends."""
    import json

    try:
        os.write(CONTROL, json.dumps({"type": "failure", "text": text, "hint": hint, "usage": True}).encode("utf-8"))
    except OSError:
        sys.stderr.write("tutti-worker: " + text + "; " + hint + "\n")
        os._exit(2)
    os._exit(1)


def check_interpreter():
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST or sys.implementation.name != "cpython":
        give_up(
            "'%s' is %s %s" % (sys.executable, getattr(getattr(sys, "implementation", None), "name", "Python"), version),
            "members of kind 'python' need CPython %d.%d or later: name another interpreter with 'python' in 'model'"
            % OLDEST,
        )
    try:
        import numpy  # noqa: F401
    except Exception as error:
        words = error if isinstance(error, ImportError) else "%s: %s" % (type(error).__name__, error)
        give_up(
            "the environment of '%s' has no NumPy that it can import: %s" % (sys.executable, words),
            "install it there: %s -m pip install numpy" % sys.executable,
        )


def check_parent():
    """The coordinator watches the process that it started: that has to be this one."""
    for word in sys.argv:
        if word.startswith("--parent=") and int(word[9:]) != os.getppid() and os.getppid() != 1:
            give_up(
                "the interpreter is started by another program, as a process of its own (%s)" % sys.executable,
                "name the interpreter itself with 'python' in 'model', or let the program become it (exec)",
            )


class MembersFinder:
    """Finds tutti.members where the environment has a package tutti without it, such as tutti-export."""

    def __init__(self, here):
        self.folder = os.path.join(here, "tutti")

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [self.folder]) if name == "tutti.members" else None


def open_library():
    folder = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(folder, "..", "libtutti-python.so")
    try:
        import ctypes

        library = ctypes.CDLL(path)
    except (ImportError, OSError) as error:
        give_up(
            "'%s' cannot open Tutti's library: %s" % (sys.executable, error),
            "name an ordinary build of CPython, with ctypes, with 'python' in 'model'",
        )
    library.tutti_python_main.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.py_object]
    library.tutti_python_main.restype = ctypes.c_int
    words = [word.encode("utf-8", "surrogateescape") for word in sys.argv]
    return library.tutti_python_main, len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None)


def main():
    import signal

    # As in other workers: the coordinator gets Ctrl-C, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Each line that the user's code prints goes to the log at once.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    here = os.path.dirname(os.path.abspath(__file__))
    # In place of the folder of this script, which Python puts first. At the end it offers tutti.members, unless the
    # environment has the package.
    if sys.path and os.path.abspath(sys.path[0] or ".") == here:
        del sys.path[0]
    check_parent()
    check_interpreter()
    sys.path.append(here)
    sys.meta_path.append(MembersFinder(here))
    import tutti_member

    run, count, words = open_library()
    code = run(count, words, tutti_member.load)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(code)


if __name__ == "__main__":
    main()
