"""The package as it is installed: what it imports, what it holds, and that it works where it was put."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_python

import tutti
from tutti import _core, _environment, _missing

SOURCE = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("TUTTI_BUILD_FOLDER", ""))


def test_importing_the_package_imports_nothing_large():
    found = run_python("""
        import sys, tutti
        assert not {"numpy", "torch", "asyncio", "concurrent.futures", "tutti._core"} & {*sys.modules}, "early"
        tutti.Ensemble
        print(sorted({"numpy", "torch", "asyncio", "onnxruntime", "pandas"} & {*sys.modules}))
    """)
    assert found.stdout == "[]\n", found.stderr


def test_every_public_name_is_there_and_documented():
    for name in tutti.__all__:
        assert getattr(tutti, name).__doc__, name
    assert {*tutti.__all__} <= {*dir(tutti)}
    for name, member in vars(tutti.Ensemble).items():
        assert name.startswith("_") or member.__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'Ensembl'"):
        tutti.Ensembl


def test_these_tests_find_a_package_in_a_relative_folder_from_everywhere(tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "only_here.py").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "one_test.py").write_text("""if True:
        import subprocess, sys

        def test_one():
            assert subprocess.run([sys.executable, "-c", "import only_here"], cwd="elsewhere").returncode == 0
    """)
    runner = Path(__file__).resolve().parent / "run.py"
    done = subprocess.run([sys.executable, runner, "build", "one_test.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_without_the_compiled_library_exports_work_and_the_rest_says_what_to_install(tmp_path):
    shutil.copytree(SOURCE / "python" / "tutti", tmp_path / "tutti", ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "tutti.export", "--help"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "python -m tutti.export" in done.stdout, done.stderr
    done = subprocess.run([sys.executable, "-c", "import tutti; tutti.UsageError; tutti.Ensemble"], env=environment,
                          capture_output=True, text=True)
    assert "ImportError: tutti.Ensemble needs the compiled library" in done.stderr and "pip install ." in done.stderr
    (tmp_path / "torch.py").write_text("class nn: Module = object\nTensor = None\n")
    done = subprocess.run([sys.executable, "-c", "import tutti._fusion_pool"], env=environment, capture_output=True,
                          text=True)
    assert "ImportError: tutti.Ensemble needs the compiled library" in done.stderr
    (tmp_path / "torch.py").unlink()
    done = subprocess.run([sys.executable, "-m", "tutti._program"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "has no program" in done.stderr and "pip install ." in done.stderr


def test_a_compiled_library_for_another_python_is_named_with_both(tmp_path):
    shutil.copytree(SOURCE / "python" / "tutti", tmp_path / "tutti", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tutti" / "_core.cpython-399-x86_64-linux-gnu.so").touch()
    done = subprocess.run([sys.executable, "-c", "import tutti; tutti.Ensemble"], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (f"ImportError: tutti.Ensemble needs the compiled library, and the one in {tmp_path}/tutti is for another "
            "Python: _core.cpython-399-x86_64-linux-gnu.so; this is cpython 3.") in done.stderr
    assert f"({sys.executable}). Install Tutti with this interpreter" in done.stderr


def test_a_stable_interface_that_this_python_lacks_is_that_of_another_python(tmp_path):
    (tmp_path / "_core.abi3.so").touch()
    error = _missing.explained("Ensemble", ImportError("_core.abi3.so: undefined symbol: PyType_New"), tmp_path)
    assert "is for another Python: _core.abi3.so; this is cpython" in str(error)


def test_a_system_that_is_too_old_is_told_which_version_is_missing(tmp_path):
    (tmp_path / "_core.abi3.so").touch()
    for symbol, words in (("GLIBC_2.99", "needs glibc 2.99:"), ("GLIBCXX_3.9.9", "needs a libstdc++ with GLIBCXX 3.9.9:")):
        error = _missing.explained("Ensemble", ImportError(
            f"/lib/libc.so.6: version `{symbol}' not found (required by /x/_core.abi3.so)"), tmp_path)
        assert str(error).startswith("this system is too old for the compiled library of Tutti, which " + words)
        assert "pip install ." in str(error)


def test_other_errors_of_an_import_stay_what_they_are(tmp_path):
    (tmp_path / "_core.abi3.so").touch()
    error = ImportError("libfmt.so.9: cannot open shared object file")
    assert _missing.explained("Ensemble", error, tmp_path) is error


def test_stubs_name_what_the_module_has():
    stub = Path(_core.__file__).with_name("_core.pyi").read_text()
    for name in ("class Predictions", "class Status", "def values(self) -> numpy.typing.NDArray", "import numpy"):
        assert name in stub, stub
    assert (Path(tutti.__file__).parent / "py.typed").exists()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with this one in it, laid out as a wheel is (pyproject.toml), from what is built."""
    if not (BUILD / "cmake_install.cmake").is_file() or not (BUILD / "bin" / "tutti").is_file():
        pytest.skip("SKIPPED: TUTTI_BUILD_FOLDER names no build with the program")
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(SOURCE / "python" / "tutti", site / "tutti", ignore=shutil.ignore_patterns("__pycache__"))
    for component in ("runtime", "python"):
        subprocess.run(["cmake", "--install", str(BUILD), "--prefix", str(site / "tutti"), "--component", component],
                       check=True, capture_output=True)
    return site


def python_in(site: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUTTI_")}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=site,
                          env=kept | {"PYTHONPATH": os.pathsep.join([str(site), *variables.pop("also", [])])} | variables)


FAKE = ("{members: [{name: a, model: {kind: fake, classes: 3}}], input: {shape: [1, 2, 2]}, assignment: cpu}")
MLP = ("{members: [{name: a, model: {kind: mlp, layers: [3]}}], input: {shape: [1, 2, 2]}, assignment: cpu}")
PREDICT = ("import numpy, tutti\n"
           "with tutti.Ensemble('''{}''') as ensemble:\n"
           "    print(tutti.__file__, ensemble.predict(numpy.ones((2, 1, 2, 2), numpy.float32)).values.shape)\n")


def test_an_installed_package_has_its_own_worker_and_program(installed):
    names = sorted(path.name for path in (installed / "tutti" / "libexec" / "tutti").iterdir())
    assert "tutti-worker" in names and "libtutti-onnx.so" in names
    assert not [name for name in names if "torch_cpu" in name or "c10" in name]
    assert not any((installed / "tutti" / name).exists() for name in ("include", "share", "lib", "libexec/libtorch"))
    done = python_in(installed, PREDICT.format(FAKE))
    assert done.stdout == f"{installed / 'tutti' / '__init__.py'} (2, 3)\n", done.stderr
    done = python_in(installed, "import sys; sys.argv = ['tutti', '--version']; import tutti._program as p; p.main()")
    assert done.returncode == 0 and "0.1.0" in done.stdout, done.stderr


def test_workers_of_an_installed_package_open_the_torch_of_its_environment(installed):
    if not _core.torch_version:
        pytest.skip("SKIPPED: this build has no LibTorch backend")
    torch = _environment.folder_of("torch")
    if torch is None:
        pytest.skip("SKIPPED: this environment has no torch")
    done = python_in(installed, PREDICT.format(MLP), also=[str(torch.parent)])
    assert done.stdout.endswith("(2, 3)\n"), done.stderr


def test_an_environment_without_torch_is_an_error_that_says_what_to_install(installed, tmp_path):
    if not _core.torch_version:
        pytest.skip("SKIPPED: this build has no LibTorch backend")
    hide = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda name, *more: None if name == 'torch' else find(name, *more)\n"
    done = python_in(installed, hide + PREDICT.format(MLP))
    assert "UsageError: some members need torch, which this Python environment does not have" in done.stderr
    assert "pip install 'torch==" in done.stderr
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "version.py").write_text("__version__ = '1.0.0'\n")
    done = python_in(installed, PREDICT.format(MLP), also=[str(tmp_path)])
    assert "and this Python environment has 1.0.0" in done.stderr, done.stderr
