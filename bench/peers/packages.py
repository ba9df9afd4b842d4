"""Makes AOTInductor packages of the members, with freezing: the kernels of the table *same kernels*.

    packages.py DATA THREADS MEMBER BATCH...       into DATA/packages; existing packages are kept

MEMBER is a number, or `merged`: one graph of all members.

The number of threads is compiled in: a package made for two uses two, even if its process sets another number.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TORCHINDUCTOR_FREEZING"] = "1"

import torch  # noqa: E402  (reads the setting above)

from network import Merged, load_member, package_file  # noqa: E402

MEMBERS = 4


def make_package(data: Path, threads: int, member: str, batch: int) -> None:
    file = package_file(data, member, batch, threads)
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    partial = file.with_suffix(f".{os.getpid()}.pt2")
    network = Merged([load_member(data, m) for m in range(MEMBERS)]) if member == "merged" else load_member(
        data, int(member))
    with torch.no_grad():
        exported = torch.export.export(network, (torch.zeros(batch, 3, 32, 32),))
        torch._inductor.aoti_compile_and_package(exported, package_path=str(partial))
    partial.rename(file)


if __name__ == "__main__":
    for size in sys.argv[4:]:
        make_package(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(size))
