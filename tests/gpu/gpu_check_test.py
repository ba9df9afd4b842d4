"""scripts/gpu-pack and gpu-check, rehearsed on the CPU. TUTTI_BUILD names the build that is packed, TUTTI_LIBTORCH its
LibTorch. The pack is moved before it runs, so that nothing in it may know where it was made."""

import array
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from gpu_check.arrays import largest_difference, read_npy  # noqa: E402
from gpu_check.bench import check_row  # noqa: E402
from gpu_check.checks import Findings, Step  # noqa: E402

ALL_STEPS = ["machine", "tests", "references", "ensembles", "kill", "training", "mistakes", "bench"]
NOT_ONLY_ON_A_GPU = ["machine", "references"]
MIB = 1024 * 1024


def make_pack(output: Path, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "scripts" / "gpu-pack", "--built", os.environ["TUTTI_BUILD"], "--output", output, *more],
                          capture_output=True, text=True, check=False)


class Cases(unittest.TestCase):
    def setUp(self) -> None:
        if shutil.which("patchelf") is None:
            print("SKIPPED: patchelf is not installed")
            self.skipTest("patchelf")
        self.folder = Path(tempfile.mkdtemp(prefix="tutti gpu "))  # with blanks: nothing may split a path
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.pack = self.folder / "elsewhere" / "pack"

    def make(self) -> None:
        made = make_pack(self.folder / "made")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.pack.parent.mkdir()
        shutil.move(self.folder / "made", self.pack)

    def check(self, *options: str) -> tuple:
        """The exit code, the result, and what was printed."""
        env = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "TUTTI_BUILD")}
        output = self.folder / "results"
        done = subprocess.run([sys.executable, self.pack / "gpu-check", "--rehearse", "--output", output, *options],
                              env=env, cwd="/", capture_output=True, text=True, check=False)
        file = output / "gpu-check.json"
        return done.returncode, json.loads(file.read_text()) if file.is_file() else None, done.stdout + done.stderr

    def statuses(self, result: dict) -> dict:
        return {step["name"]: step["status"] for step in result["steps"]}

    def change_needs(self, name: str, value: str) -> None:
        file = self.pack / "manifest.json"
        manifest = json.loads(file.read_text())
        manifest["needs"][name] = value
        file.write_text(json.dumps(manifest))

    def test_a_rehearsal_holds_every_step_and_passes_none_that_needs_a_gpu(self) -> None:
        self.make()
        code, result, printed = self.check()
        self.assertEqual(code, 0, printed)
        self.assertEqual(result["schema"], "tutti.gpu-check/1")
        self.assertTrue(result["rehearsal"])
        wanted = {name: "passed" if name in NOT_ONLY_ON_A_GPU else "rehearsed" for name in ALL_STEPS}
        self.assertEqual(self.statuses(result), wanted, printed)
        for step in result["steps"]:
            self.assertTrue(step["checks"], step)
            self.assertTrue(all(check["ok"] for check in step["checks"]), step)
        rows = next(step for step in result["steps"] if step["name"] == "bench")["figures"]["rows"]
        self.assertEqual([row["name"] for row in rows], ["sequential, one thread", "multiprocess (the pool)"])
        page = (self.folder / "results" / "gpu-check.md").read_text()
        self.assertIn("This was a rehearsal on the CPU. It shows nothing about a GPU.", page)
        for step in result["steps"]:
            self.assertIn(f"## {step['title']}", page)

    def test_a_program_that_is_missing_fails_its_steps_and_no_others(self) -> None:
        self.make()
        (self.pack / "tests" / "test-cuda-plugin").unlink()
        (self.pack / "bin" / "tutti-bench").unlink()
        code, result, printed = self.check("--only", "machine,tests,mistakes,bench")
        self.assertEqual(code, 1, printed)
        self.assertEqual(self.statuses(result),
                         {"machine": "passed", "tests": "failed", "mistakes": "rehearsed", "bench": "failed"}, printed)
        self.assertIn("test-cuda-plugin is in the pack", printed)

    def test_a_step_that_cannot_be_carried_out_says_why(self) -> None:
        self.make()
        (self.pack / "bin" / "tutti").unlink()
        code, result, printed = self.check("--only", "machine,mistakes")
        self.assertEqual(code, 1, printed)
        self.assertEqual(self.statuses(result), {"machine": "failed", "mistakes": "failed"}, printed)
        self.assertIn("No such file or directory", printed)

    def test_steps_for_which_no_time_is_left_are_reported_as_timed_out(self) -> None:
        self.make()
        code, result, printed = self.check("--seconds", "0")
        self.assertEqual(code, 1, printed)
        self.assertEqual(self.statuses(result), {name: "timed out" for name in ALL_STEPS})

    def test_a_command_is_killed_at_the_deadline(self) -> None:
        self.make()
        program = self.pack / "bin" / "tutti"
        program.unlink()
        program.write_text("#!/bin/sh\nexec sleep 600\n")
        program.chmod(0o755)
        code, result, printed = self.check("--only", "mistakes", "--seconds", "3")
        self.assertEqual(code, 1, printed)
        self.assertEqual(self.statuses(result), {"mistakes": "timed out"}, printed)
        self.assertIn("killed at the deadline", result["steps"][0]["output_tail"])

    def test_a_machine_with_an_older_c_library_is_told_what_is_needed(self) -> None:
        self.make()
        self.change_needs("glibc", "99.1")
        code, result, printed = self.check()
        self.assertEqual(code, 1, printed)
        self.assertEqual(self.statuses(result), {name: "failed" if name == "machine" else "skipped" for name in ALL_STEPS})
        self.assertIn("the pack needs glibc 99.1 or newer; this machine has ", printed)

    def test_another_libtorch_is_named(self) -> None:
        self.make()
        self.change_needs("libtorch", "1.2.3")
        code, result, printed = self.check("--only", "machine")
        self.assertEqual(code, 1, printed)
        self.assertIn("the pack needs LibTorch 1.2.3; ", printed)

    def test_an_older_c_plus_plus_library_is_replaced_by_the_one_in_the_pack(self) -> None:
        self.make()
        self.change_needs("libstdcxx", "GLIBCXX_9.9.9")
        probe = self.pack / "bin" / "tutti"
        probe.unlink()
        probe.write_text('#!/bin/sh\necho "found in $LD_LIBRARY_PATH"\nexit 1\n')
        probe.chmod(0o755)
        _, _, printed = self.check("--only", "machine")
        self.assertIn(f"found in {self.pack}/lib/libstdcxx", printed)

    def test_arrays_that_differ_are_told_apart(self) -> None:
        file = self.folder / "a.npy"
        values = array.array("f", [0.5, -2.0, 0.25])
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }\n"
        file.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.tobytes())
        self.assertEqual(read_npy(file), values)
        self.assertEqual(largest_difference(values, array.array("f", [0.5, -2.25, 0.25])), 0.25)
        self.assertEqual(largest_difference(values, array.array("f", [0.5, -2.0])), math.inf)
        self.assertEqual(largest_difference(values, array.array("f", [0.5, math.nan, 0.25])), math.inf)
        file.write_bytes(file.read_bytes().replace(b"<f4", b"<i8"))
        self.assertRaises(ValueError, read_npy, file)

    def test_a_row_that_was_skipped_is_a_check_that_does_not_hold(self) -> None:
        found = Findings(Step("bench", "", 1, True, lambda *_: None), 1)
        check_row(found, 4, "threads", [{"skipped": "no streams"}])
        check_row(found, 4, "fused", [])
        check_row(found, 4, "pool", [{"samples": [1.0], "median": 1.0, "mad": 0.0, "min": 1.0, "unit": "s", "note": ""}])
        self.assertEqual([check["ok"] for check in found.checks], [True, False, False, True, True])
        self.assertEqual(found.checks[1]["detail"], "no streams")
        self.assertEqual(found.status(rehearsal=False), "failed")

    def test_an_unknown_step_is_refused(self) -> None:
        self.make()
        code, _, printed = self.check("--only", "tests,benches")
        self.assertEqual(code, 2)
        self.assertIn("there is no step benches", printed)

    def test_the_programs_find_their_libraries_in_the_pack(self) -> None:
        self.make()
        self.check("--only", "mistakes")  # makes the link to LibTorch
        env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        for name in ("bin/tutti", "bin/tutti-worker", "bin/tutti-bench-single", "tests/test-cuda-graphs"):
            listed = subprocess.run(["ldd", self.pack / name], env=env, capture_output=True, text=True, check=True).stdout
            self.assertNotIn("not found", listed)
            for line in listed.splitlines():
                if any(line.strip().startswith(f"lib{library}") for library in ("fmt", "spdlog", "yaml", "hwloc", "png")):
                    self.assertIn(str(self.pack), line, name)

    def test_a_pack_is_small_and_one_above_its_bound_is_refused(self) -> None:
        self.make()
        size = sum(file.stat().st_size for file in self.pack.rglob("*") if file.is_file() and not file.is_symlink())
        self.assertLess(size, 48 * MIB)
        refused = make_pack(self.folder / "large", "--most-bytes", str(MIB))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("more than 1024 KiB; the largest files:", refused.stderr)
        self.assertFalse((self.folder / "large").exists())
        self.assertFalse((self.folder / "large.partial").exists())

    def test_a_folder_that_is_no_pack_is_not_replaced(self) -> None:
        other = self.folder / "other"
        other.mkdir()
        (other / "mine").write_text("kept")
        refused = make_pack(other)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is not a pack", refused.stderr)
        self.assertEqual((other / "mine").read_text(), "kept")


if __name__ == "__main__":
    unittest.main()
