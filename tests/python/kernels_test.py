"""Tests of bench/peers/kernels.py: its words, its rows, and its networks. Need both libraries."""

from __future__ import annotations

import contextlib
import io
import sys

from support import HERE, ExportTest, run_tests

sys.path[:0] = [str(HERE.parents[1] / "bench" / "peers"), str(HERE.parents[1] / "bench")]


class Kernels(ExportTest):
    def words(self, *words: object) -> str:
        """The parser's error for options that it must reject."""
        import kernels

        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as end:
            kernels.parse([str(word) for word in words])
        self.assertEqual(end.exception.code, 2)
        return errors.getvalue()

    def test_options_that_make_no_sense_are_rejected(self) -> None:
        self.assertIn("--members must be at least 1, not 0", self.words("--members", 0))
        self.assertIn("--batches must be from 1 to 10, the number of images, not 11",
                      self.words("--images", 10, "--batches", 4, 11))
        self.assertIn("does not exist", self.words("--json", self.folder / "none" / "rows.json"))
        self.assertIn("invalid choice", self.words("--only", "nobody"))

    def test_the_libraries_compute_the_network_and_agree(self) -> None:
        import bench_rows
        import kernels
        import numpy
        from safetensors.numpy import load_file

        file = self.folder / "rows.json"
        words = ["--members", 2, "--images", 5, "--batches", 2, 5, "--repeats", 2, "--folder", self.folder,
                 "--json", file]
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(kernels.main([str(word) for word in words]), 0)
        rows = bench_rows.read_rows(file)
        self.assertEqual([(row.name, row.conditions["batch_images"], row.conditions["figure"], len(row.samples))
                          for row in rows],
                         [(name, batch, figure, 2 if figure == "time" else 1) for batch in (2, 5)
                          for name in kernels.LIBRARIES for figure in ("time", "start to ready", "memory")])
        x = numpy.fromfile(self.folder / "images-5.f32", numpy.float32).reshape(5, 3, 32, 32)
        members = [load_file(self.folder / f"small-cnn-{member}.safetensors") for member in range(2)]
        found = numpy.fromfile(self.folder / "answer.f32", numpy.float32).reshape(5, kernels.CLASSES)
        numpy.testing.assert_allclose(found, (network(members[0], x) + network(members[1], x)) / 2, atol=1e-5)

    def test_the_form_is_that_of_the_choice_that_was_kept(self) -> None:
        import kernels

        self.assertEqual(kernels.kept_form(self.folder), "")
        choices = self.folder / "tutti" / "choices"
        choices.mkdir(parents=True)
        (choices / "1.choice.json").write_text('{"members": [[{"model": "a", "reason": "it is slower"}, '
                                               '{"model": "b", "reason": ""}]]}')
        self.assertEqual(kernels.kept_form(self.folder), "b")

    def test_the_ratio_is_that_of_the_faster_library_round_by_round(self) -> None:
        import kernels

        entries = [kernels.Entry("tutti", seconds=[2.0, 4.0]), kernels.Entry("onnxruntime", seconds=[1.0, 8.0]),
                   kernels.Entry("openvino", seconds=[3.0, 2.0])]
        self.assertEqual(kernels.ratios_of(entries[:1], entries[1:]), [0.5, 0.5])
        entries[2].failed = "no library"
        self.assertEqual(kernels.ratios_of(entries[:1], entries[1:]), [0.5, 2.0])
        self.assertEqual(kernels.ratios_of([], entries[1:]), [])


def network(weights, x):
    """A small-cnn, by NumPy."""
    import numpy

    for name in ("conv1", "conv2", "conv3"):
        windows = numpy.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        x = numpy.einsum("ncyxab,ocab->noyx", windows, weights[f"{name}.weight"], optimize=True)
        x = numpy.maximum(x + weights[f"{name}.bias"][:, None, None], 0)
        if name != "conv3":
            half = x.shape[2] // 2
            x = x[:, :, :2 * half, :2 * half].reshape(len(x), -1, half, 2, half, 2).max(axis=(3, 5))
    x = numpy.maximum(x.reshape(len(x), -1) @ weights["fc1.weight"].T + weights["fc1.bias"], 0)
    return x @ weights["fc2.weight"].T + weights["fc2.bias"]


if __name__ == "__main__":
    run_tests("numpy", "safetensors", "onnxruntime", "openvino")
