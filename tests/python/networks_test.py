"""Tests of bench/peers/networks.py: its words, its rows, and a small network by every library. Need torch, torchvision and
both libraries."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys

from support import HERE, ExportTest, run_tests

sys.path[:0] = [str(HERE.parents[1] / "bench" / "peers"), str(HERE.parents[1] / "bench")]


class Networks(ExportTest):
    def words(self, *words: object) -> str:
        """The parser's error for options that it must reject."""
        import networks

        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as end:
            networks.parse([str(word) for word in words])
        self.assertEqual(end.exception.code, 2)
        return errors.getvalue()

    def test_options_that_make_no_sense_are_rejected(self) -> None:
        self.assertIn("--batches must be at least 1, not 0", self.words("--batches", 8, 0))
        self.assertIn("--images must be at least 1, or 0", self.words("--images", -1))
        self.assertIn("--cores 5000:", self.words("--cores", 5000))
        self.assertIn("does not exist", self.words("--json", self.folder / "none" / "rows.json"))
        self.assertIn("invalid choice: 'lenet'", self.words("--networks", "lenet"))

    def test_the_libraries_compute_the_network_and_agree(self) -> None:
        import bench_rows
        import networks
        import numpy
        import torch
        import torchvision_networks

        file = self.folder / "rows.json"
        words = ["--networks", "mobilenet_v3_small", "--side", 32, "--images", 4, "--cores", 1, "--batches", 2, "--repeats", 2,
                 "--folder", self.folder, "--json", file]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(networks.main([str(word) for word in words]), 0, out.getvalue())
        rows = bench_rows.read_rows(file)
        self.assertEqual([(row.name, row.conditions["figure"], len(row.samples)) for row in rows],
                         [(name, figure, 2 if figure == "time" else 1) for name in ("onnxruntime", "openvino", "torchscript")
                          for figure in ("time", "memory")])
        images = numpy.fromfile(self.folder / "images-4x32.f32", numpy.float32).reshape(4, 3, 32, 32)
        with torch.no_grad():
            expected = torchvision_networks.mobilenet_v3_small()(torch.from_numpy(images)).numpy()
        found = numpy.fromfile(self.folder / "answer.f32", numpy.float32).reshape(4, networks.CLASSES)
        numpy.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())
        self.assertGreater(abs(expected).max(), 0.01)

    def test_both_forms_compute_the_same_of_one_network_and_of_several(self) -> None:
        import networks
        import numpy

        images = numpy.arange(12, dtype=numpy.float32).reshape(6, 2)

        def opened(factor, threads):
            return lambda batch: batch * factor

        networks.LIBRARIES["fake"] = networks.LIBRARIES["onnxruntime"].__class__("onnx", opened)
        self.addCleanup(networks.LIBRARIES.pop, "fake")
        for factors in ([3], [2, 5, 7]):
            for form in ("whole", "parallel"):
                logits = numpy.zeros((len(factors), 6, 2), numpy.float32)
                networks.computed_by("fake", factors, 2, form)(images, 4, logits)
                numpy.testing.assert_array_equal(logits, [images * factor for factor in factors])

    def test_tutti_computes_the_same_files_in_both_forms(self) -> None:
        import networks

        options = networks.parse(["--networks", "resnet18", "--folder", str(self.folder), "--cores", "1"])
        networks.network_file(options, "resnet18", "onnx").touch()
        whole = networks.spec_text(options, ["resnet18"], 2, 8, "whole")
        parallel = networks.spec_text(options, ["resnet18"], 2, 8, "parallel")
        self.assertIn(f"files: ['{self.folder}/resnet18-224.onnx']", whole)
        self.assertIn("threads: 2\n", whole)
        self.assertNotIn("replicas", whole)
        self.assertIn("replicas: 2", parallel)
        self.assertIn("threads: 1\n", parallel)
        ensemble = networks.spec_text(options, ["resnet18", "resnet18"], 2, 8, "parallel").replace("resnet18,", "b,", 1)
        self.assertNotIn("replicas", ensemble)
        if "TUTTI_PROGRAM" not in os.environ:
            self.skipTest("no program was built that says whether it takes them")
        for text in (whole, parallel, ensemble):
            (self.folder / "a.yaml").write_text(text)
            said = subprocess.run([os.environ["TUTTI_PROGRAM"], "validate", self.folder / "a.yaml"], capture_output=True,
                                  text=True)
            self.assertEqual((said.returncode, said.stderr), (0, ""))

    def test_each_run_has_enough_images_for_a_second_and_for_all_cores(self) -> None:
        import networks

        options = networks.parse(["--cores", "1"])
        counts = {name: networks.image_count(options, [name]) for name in networks.NAMES}
        self.assertEqual((counts["vit_b_16"], counts["mobilenet_v3_small"], counts["resnet18"]), (16, 256, 16))
        self.assertEqual({count % 16 for count in counts.values()}, {0})


if __name__ == "__main__":
    run_tests("numpy", "torch", "torchvision", "onnx", "onnxruntime", "openvino")
