"""The demonstration's ensemble is better than its best member, whichever instructions the processor has: the program trains
and predicts config/digits.yaml once per instruction set. usage: demonstration.py TUTTI CONFIG"""

import json
import os
import subprocess
import sys
import tempfile

LEAST_POINTS = 1
# What oneDNN, LibTorch's own kernels and MKL are told to use, and the flag of a processor that can. LibTorch takes the word
# for it: one that cannot would end with SIGILL.
INSTRUCTION_SETS = {
    "SSE4": ("sse4_2", ("SSE41", "default", "SSE4_2")),
    "AVX2": ("avx2", ("AVX2", "avx2", "AVX2")),
    "AVX-512": ("avx512bw", ("AVX512_CORE", "avx512", "AVX512")),
}


def flags_of_the_processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return set(next((line for line in file if line.startswith("flags")), "").split())


def gain(tutti, config, limits):
    """In points of accuracy, over the best member."""
    names = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
    environment = os.environ | dict(zip(names, limits))
    with tempfile.TemporaryDirectory() as folder:
        for command in ("train", "run"):
            subprocess.run([tutti, command, config, "-q", f"output={command}"], cwd=folder, env=environment, check=True)
        with open(os.path.join(folder, "run", "report.json"), encoding="utf-8") as file:
            report = json.load(file)
    best = max(member["accuracy"] for member in report["members"])
    return 100 * (report["ensemble"]["accuracy"] - best)


def main(tutti, config):
    too_little = False
    flags = flags_of_the_processor()
    for name, (flag, limits) in INSTRUCTION_SETS.items():
        if flag not in flags:
            print(f"{name}: this processor has none")
            continue
        points = gain(tutti, config, limits)
        print(f"{name}: the ensemble is {points:+.2f} points from its best member; expected: at least {LEAST_POINTS:+}")
        too_little |= points < LEAST_POINTS
    return 1 if too_little else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
