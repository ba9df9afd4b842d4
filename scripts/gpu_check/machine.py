"""What the machine is, and what the programs of the pack need to start on it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checks import Findings, Place

DRIVER_FOLDERS = ("/usr/local/nvidia", "/usr/lib/wsl")  # where containers mount the driver, outside of the usual paths
GPU_FIELDS = ("name", "uuid", "driver_version", "memory.total", "memory.used", "compute_mode", "mig.mode.current",
              "clocks.sm", "clocks.max.sm", "power.limit", "pcie.link.gen.current", "pcie.link.width.current")
# Also reads the libraries from disk, so that the first worker's deadline need not cover that.
TORCH_PROBE = """
import json, torch
found = {"version": torch.__version__, "cuda_of_torch": torch.version.cuda, "cuda": torch.cuda.is_available()}
if found["cuda"]:
    found.update(device=torch.cuda.get_device_name(0), capability=list(torch.cuda.get_device_capability(0)),
                 cudnn=torch.backends.cudnn.version(), devices=torch.cuda.device_count())
    a = torch.ones(64, 64, device="cuda")
    found["works"] = (a @ a).sum().item() == 64.0 ** 3
print("found " + json.dumps(found))
"""


def parts(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def glibc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").rpartition(" ")[2]
    except (AttributeError, OSError, ValueError):
        return platform.libc_ver()[1] or "unknown"


def find_libtorch() -> Path | None:
    """The folder of LibTorch: TUTTI_LIBTORCH, or the torch of this Python, which is not imported for that."""
    named = os.environ.get("TUTTI_LIBTORCH")
    if named:
        return Path(named).resolve()
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def version_of(libtorch: Path) -> str:
    """Without what follows a '+', which says how it was built."""
    file = libtorch / "version.py"
    if file.is_file():
        found = re.search(r"__version__ = ['\"]([0-9.]+)", file.read_text())
        return found.group(1) if found else "unknown"
    file = libtorch / "build-version"
    return file.read_text().strip().partition("+")[0] if file.is_file() else "unknown"


def has_version(library: str, wanted: str) -> bool:
    """Whether this machine's C++ library defines a symbol version. Asked of a process of its own, which ends."""
    probe = ("import ctypes; ctypes.CDLL('%s'); maps = open('/proc/self/maps').read().split(); "
             "path = next(word for word in maps if '/%s' in word); "
             "raise SystemExit(b'%s\\0' not in open(path, 'rb').read())" % (library, library.partition(".so")[0], wanted))
    return subprocess.run([sys.executable, "-c", probe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=30, check=False).returncode == 0


def link_libtorch(place: "Place", libtorch: Path) -> None:
    """The search paths of the pack's programs go through the link `libtorch` in the pack."""
    link = place.pack / "libtorch"
    place.env["TUTTI_LIBTORCH"] = str(libtorch)
    if link.is_symlink() and Path(os.readlink(link)) == libtorch:
        return
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(libtorch)
    except OSError:  # a pack that cannot be written to
        prepend(place.env, "LD_LIBRARY_PATH", [place.pack / "lib" / "torch-stand-in", libtorch / "lib"])


def prepend(env: dict[str, str], name: str, folders: list[Path]) -> None:
    before = [env[name]] if env.get(name) else []
    env[name] = os.pathsep.join([str(folder) for folder in folders] + before)


def prepare(place: "Place") -> None:
    """Finds LibTorch and the driver, and says in place.unusable why the programs cannot run here."""
    needed = place.manifest["needs"]
    if parts(glibc()) < parts(needed["glibc"]):
        place.unusable = f"the pack needs glibc {needed['glibc']} or newer; this machine has {glibc()}"
        return
    libtorch = find_libtorch()
    if libtorch is None or not (libtorch / "lib" / "libtorch_cpu.so").is_file():
        where = f"'{libtorch}' is not one" if libtorch else "this Python has no torch, and TUTTI_LIBTORCH is not set"
        place.unusable = f"there is no LibTorch: {where}"
        return
    if version_of(libtorch) != needed["libtorch"]:
        place.unusable = f"the pack needs LibTorch {needed['libtorch']}; '{libtorch}' is {version_of(libtorch)}"
        return
    for folder in map(Path, DRIVER_FOLDERS):
        for name, part in (("LD_LIBRARY_PATH", "lib64"), ("PATH", "bin")):
            if (folder / part).is_dir() and str(folder / part) not in place.env.get(name, "").split(os.pathsep):
                place.env[name] = os.pathsep.join(filter(None, [place.env.get(name, ""), str(folder / part)]))
    # The system's C++ library is the right one unless it is too old: LibTorch uses it as well.
    if needed["libstdcxx"] and not has_version("libstdc++.so.6", needed["libstdcxx"]):
        prepend(place.env, "LD_LIBRARY_PATH", [place.pack / "lib" / "libstdcxx"])
    link_libtorch(place, libtorch)
    make_executable(place.pack)


def make_executable(pack: Path) -> None:
    """Where files travel without their modes."""
    for program in (*pack.glob("bin/*"), *pack.glob("tests/*")):
        if not os.access(program, os.X_OK):
            program.chmod(0o755)


def first_line(file: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(file).read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return "unknown"
    return found.group(1).strip() if found else "unknown"


def query_gpus(place: "Place", fields: tuple[str, ...]) -> list[dict[str, str]]:
    """What nvidia-smi says, by its own names of the fields; nothing where it is missing."""
    program = shutil.which("nvidia-smi", path=place.env.get("PATH"))
    if program is None:
        return []
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, env=place.env, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return []
    if answer.returncode != 0:
        return []
    return [dict(zip(fields, (word.strip() for word in line.split(",")))) for line in answer.stdout.splitlines() if line]


def used_megabytes(place: "Place") -> int | None:
    """GPU memory in use by all processes, in MiB of the first GPU."""
    gpus = query_gpus(place, ("memory.used",))
    used = gpus[0]["memory.used"] if gpus else ""
    return int(used) if used.isdigit() else None


def ask_torch(found: "Findings", place: "Place") -> dict[str, Any]:
    """What Python's torch says; it may be missing though LibTorch is there."""
    outcome = found.run([sys.executable, "-c", TORCH_PROBE], place.env)
    for line in outcome.output.splitlines():
        if line.startswith("found "):
            return dict(json.loads(line[len("found "):]))
    return {}


def describe(found: "Findings", place: "Place") -> None:
    """The step `machine`."""
    place.machine.update(
        cpu=first_line("/proc/cpuinfo", r"^model name\s*:\s*(.*)$"), cores=len(os.sched_getaffinity(0)),
        memory_mib=int(first_line("/proc/meminfo", r"^MemTotal:\s*(\d+) kB") or 0) // 1024, glibc=glibc(),
        kernel=platform.release(), system=first_line("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
        python=platform.python_version(), libtorch=place.manifest["needs"]["libtorch"],
        gpus=query_gpus(place, GPU_FIELDS))
    found.need("the pack can run here", not place.unusable, place.unusable)
    version = found.run([place.tutti, "--version"], place.env)
    found.check("the programs of the pack start", version.code == 0, wrong=version.output.strip())
    torch = ask_torch(found, place)
    place.machine["torch"] = torch
    if place.rehearsal:
        found.skip("the GPU is there", "no GPU: a rehearsal on the CPU")
        return
    found.check("nvidia-smi shows a GPU", bool(place.machine["gpus"]))
    if torch:
        found.check("torch computes on the GPU", bool(torch.get("works")), wrong=json.dumps(torch))
    else:
        found.skip("torch computes on the GPU", "this Python cannot import torch")
    plan = found.run([place.tutti, "plan", write_probe(place)], place.env)
    found.check("Tutti finds cuda:0", plan.code == 0 and "cuda:0 (" in plan.output,
                wrong=plan.output.strip()[-300:])


def write_probe(place: "Place") -> Path:
    file = place.scratch / "probe.yaml"
    file.write_text(json.dumps({"members": [{"name": "cnn", "model": {"kind": "small-cnn"}}], "assignment": "cuda:0",
                                "input": {"dataset": "digits", "split": "test"}}))
    return file
