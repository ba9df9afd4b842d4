"""Tests of bench/peers/clip_ensemble.py: its words, its rows, and two contestants on tiny towers. Need torch, transformers."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from support import HERE, ExportTest, run_tests

sys.path[:0] = [str(HERE.parents[1] / "bench" / "peers"), str(HERE.parents[1] / "bench")]


class ClipEnsemble(ExportTest):
    def words(self, *words: object) -> str:
        """The parser's error for options that it must reject."""
        import clip_ensemble

        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as end:
            clip_ensemble.parse([str(word) for word in words])
        self.assertEqual(end.exception.code, 2)
        return errors.getvalue()

    def test_options_that_make_no_sense_are_rejected(self) -> None:
        self.assertIn("--members must be at least 1, not 0", self.words("--members", 0))
        self.assertIn("--batch 3 does not divide --images 64", self.words("--batch", 3))
        self.assertIn("does not exist", self.words("--json", self.folder / "none" / "rows.json"))
        self.assertIn("invalid choice", self.words("--only", "nobody"))

    def test_a_driver_that_cannot_be_run_is_said(self) -> None:
        import clip_ensemble

        with self.assertRaises(SystemExit) as end:
            clip_ensemble.main(["--driver", str(self.folder / "none")])
        self.assertIn("tutti_bench_peers_driver", str(end.exception))

    def test_fusion_benchs_ensemble_averages_every_entry_of_the_answers(self) -> None:
        import clip_ensemble
        import torch

        def model(factor: float):
            return lambda images: {"last_hidden_state": images * factor, "pooler_output": images.sum(dim=(1, 2, 3)) * factor}

        images = torch.rand(4, 3, 2, 2)
        for device_map in (None, {0: "cpu", 1: "cpu"}):
            found = clip_ensemble.fusion_bench([model(1), model(3)], device_map)(images)
            torch.testing.assert_close(found, images.sum(dim=(1, 2, 3)) * 2)
        mean = clip_ensemble.aggregate([model(1)(images), model(3)(images)])
        torch.testing.assert_close(mean["last_hidden_state"], images * 2)

    def measured(self, *words: object) -> tuple[int, list]:
        import bench_rows
        import clip_ensemble

        file = self.folder / "rows.json"
        arguments = ["--tiny", "--members", 2, "--images", 4, "--batch", 2, "--repeats", 2, "--folder", self.folder / "data",
                     "--json", file, *words]
        with contextlib.redirect_stdout(io.StringIO()):
            code = clip_ensemble.main([str(word) for word in arguments])
        return code, bench_rows.read_rows(file)

    def test_contestants_agree_and_their_rows_are_those_of_the_other_measurements(self) -> None:
        code, rows = self.measured("--only", "fusion-bench", "fusion-bench-device-map")
        self.assertEqual(code, 0)
        self.assertEqual([(row.name, row.unit, row.higher_is_better, len(row.samples)) for row in rows], [
            (name, *figure) for name in ("fusion-bench", "fusion-bench-device-map")
            for figure in (("images/s", True, 2), ("s", False, 1), ("MiB", False, 1))])

    def test_who_answers_something_else_is_dropped_with_the_difference(self) -> None:
        import served

        class Answers:
            def __init__(self, values: list[float]):
                self.values = values

            def ask(self, word: str, file: str, answer: str) -> None:
                import numpy

                numpy.array(self.values, numpy.float32).tofile(file)

            def close(self) -> None:
                pass

        entries = [served.Entry(name, Answers(values)) for name, values in (
            ("one", [1.0, 2.0]), ("same", [1.0, 2.0]), ("near", [1.0, 2.0001]), ("far", [1.0, 3.0]),
            ("nan", [1.0, float("nan")]), ("short", [1.0]))]
        served.compare_answers(entries, self.folder / "answer")
        self.assertEqual([bool(entry.failed) for entry in entries], [False, False, False, True, True, True])
        self.assertIn("differs by 5e-05", entries[2].note)
        self.assertIn("its output differs from one's by 5.0e-01", entries[3].failed)
        self.assertIn("it gives 1 value, and one 2", entries[5].failed)

    def test_a_contestant_that_cannot_start_is_a_row_with_the_reason(self) -> None:
        code, rows = self.measured("--only", "fusion-bench", "--python", Path("/none/python"))
        self.assertEqual(code, 1)
        self.assertIn("could not start", rows[0].skipped)


if __name__ == "__main__":
    run_tests("torch", "transformers", "numpy")
