"""What an installed wheel must do where there is nothing but its environment. Run by scripts/check-wheel with the
interpreter of that environment; --torch: the environment has torch, too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

BIN = Path(sys.executable).parent
PACKAGE = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages", "tutti")

# Libraries that no wheel holds: the user's torch, and what every system with this glibc has (PEP 600). ldd names the
# loader by its path.
OF_THE_USER = re.compile(r"lib(torch_cpu|torch_cuda|c10|c10_cuda)\.so")
OF_THE_SYSTEM = re.compile(r"(linux-vdso|ld-linux-x86-64|lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s|z))\.so")

FAKE = """
members: [{name: a, model: {kind: fake, classes: 3}}]
assignment: cpu
input: {shape: [1, 4, 4]}
"""
CNN = """
members: [{name: a, model: {kind: small-cnn}}, {name: b, model: {kind: small-cnn}, seed: 2}]
assignment: cpu
input: {shape: [3, 32, 32]}
"""
PYTHON = """
members: [{{name: a, model: {{kind: python, factory: "{folder}/mine.py:make", python: "{prefix}"}}}}]
assignment: cpu
input: {{shape: [1, 4, 4]}}
combine: {{rule: mean, over: logits}}
"""
RUN = """
members: [{{name: a, model: {model}}}]
assignment: cpu
input: {{dataset: digits, limit: 20}}
output: {folder}/results
"""
FACTORY = "def make():\n    return lambda x: x.reshape(len(x), -1)[:, :3] * 2\n"


def run(*words: object) -> str:
    """The output of a program of the environment, of whatever exit code."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, env={"PATH": f"{BIN}:{os.defpath}", "HOME": "/nowhere"})
    return done.stdout


def expect(text: str, found: str) -> None:
    if text not in found:
        raise AssertionError(f"expected: {text}\ngot: {found}")


def libraries() -> None:
    """Every library that a file needs is in the wheel or on every system, but for torch's."""
    looked = 0
    for path in [*PACKAGE.rglob("*"), *PACKAGE.with_name("tutti.libs").iterdir()]:
        if path.is_symlink() or not path.is_file() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        looked += 1
        for name, where in re.findall(r"^\s*(\S+)(?: => (.+?))?(?: \(0x.*\))?$", run("ldd", path), re.MULTILINE):
            inside = where.startswith(f"{PACKAGE.parent}/")
            if not inside and not OF_THE_USER.match(name) and not OF_THE_SYSTEM.match(name.rpartition("/")[2]):
                raise AssertionError(f"{path} needs {name}, which comes from: {where or 'nowhere'}")
    assert looked > 10, f"only {looked} files of machine code"


def predicts() -> None:
    import numpy
    import tutti

    assert Path(tutti.__file__).parent == PACKAGE, tutti.__file__
    with tutti.Ensemble(FAKE) as ensemble:
        assert ensemble.predict(numpy.ones((7, 1, 4, 4), numpy.float32)).values.shape == (7, 3)


def python_member() -> None:
    import numpy
    import tutti

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "mine.py").write_text(FACTORY)
        images = numpy.arange(32, dtype=numpy.float32).reshape(2, 1, 4, 4)
        with tutti.Ensemble(PYTHON.format(folder=folder, prefix=sys.prefix)) as ensemble:
            assert (ensemble.predict(images).values == images.reshape(2, 16)[:, :3] * 2).all()


def program() -> None:
    expect("tutti 0.", run(BIN / "tutti", "--version"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.yaml")
        file.write_text(RUN.format(folder=folder, model="{kind: fake, classes: 10}"))
        expect(f"report: {folder}/results/report.json", run(BIN / "tutti", "run", file))


def exports() -> None:
    expect("zero-shot", run(BIN / "tutti-export", "--help"))
    expect("usage: ", run(sys.executable, "-m", "tutti.export", "head", "--help"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "resolved.yaml")
        file.write_text("modelpool: {}\n")
        expect("pyyaml", run(BIN / "tutti-export", "fusion-bench", file).lower())


def missing_torch() -> None:
    import tutti

    try:
        tutti.Ensemble(CNN)
    except tutti.UsageError as error:
        assert error.message == "some members need torch, which this Python environment does not have", error
        assert error.hint.startswith("pip install 'torch=="), error
    else:
        raise AssertionError("torch is there")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.yaml")
        file.write_text(RUN.format(folder=folder, model="{kind: mlp, layers: [10]}"))
        expect("TUTTI_LIBTORCH", run(BIN / "tutti", "run", file))


def other_python() -> None:
    """A compiled library for another Python, as after an upgrade of the interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder, "tutti"), ignore=shutil.ignore_patterns("libexec", "bin", "_core.*"))
        Path(folder, "tutti", "_core.cpython-399-x86_64-linux-gnu.so").touch()
        code = f"import sys; sys.path.insert(0, {folder!r}); import tutti; tutti.Ensemble"
        expect("is for another Python", run(sys.executable, "-c", code))


def members_of_torch() -> None:
    import numpy
    import tutti

    with tutti.Ensemble(CNN) as ensemble:
        assert ensemble.predict(numpy.ones((4, 3, 32, 32), numpy.float32)).values.shape == (4, 10)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.yaml")
        file.write_text(RUN.format(folder=folder, model="{kind: small-cnn}"))
        expect(f"report: {folder}/results/report.json", run(BIN / "tutti", "run", file))


def other_torch() -> None:
    """The torch of the environment, as if it were of another version."""
    import tutti

    file = PACKAGE.with_name("torch") / "version.py"
    text = file.read_text()
    try:
        file.write_text(re.sub(r"(__version__\s*=\s*)'[^']*'", r"\1'2.0.1'", text))
        try:
            tutti.Ensemble(CNN)
        except tutti.UsageError as error:
            assert "and this Python environment has 2.0.1" in error.message, error
        else:
            raise AssertionError("torch 2.0.1 was taken")
        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder, "run.yaml")
            description.write_text(RUN.format(folder=folder, model="{kind: small-cnn}"))
            expect("is of version 2.0.1, and this Tutti was built with", run(BIN / "tutti", "run", description))
    finally:
        file.write_text(text)


def main() -> None:
    checks: list[Callable[[], None]] = [libraries, predicts, python_member, program, exports, missing_torch, other_python]
    if sys.argv[1:] == ["--torch"]:
        checks = [libraries, members_of_torch, other_torch]
    for check in checks:
        check()
        print(f"passed: {check.__name__.replace('_', ' ')}", flush=True)


if __name__ == "__main__":
    main()
