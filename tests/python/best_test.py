"""Tests of `tutti.export model` for ONNX, and of --best. Need torch; those of ONNX also onnx, onnxruntime and openvino."""

from __future__ import annotations

import importlib.util
import json
import sys
import unittest.mock
from pathlib import Path
from typing import Any

from support import HERE, ExportTest, run_tests

sys.path.insert(0, str(HERE))
SHAPE = ("--shape", "3,4,4")


class Onnx(ExportTest):
    """ONNX models, computed by ONNX Runtime and by OpenVINO."""

    def setUp(self) -> None:
        super().setUp()
        for package in ("onnx", "onnxruntime", "openvino"):
            if importlib.util.find_spec(package) is None:
                self.skipTest(f"this Python has no {package}")

    def test_a_module_becomes_an_onnx_model_that_answers_the_same(self) -> None:
        import torch
        import nets
        from tutti.export import formats

        for method in ("trace", "script"):
            out = self.exported("model", "nets:residual", *SHAPE, "--output", self.folder / "a.onnx", "--method", method)
            self.assertIn("a.onnx: largest difference to the original", out)
            self.assertIn(f"  - name: a\n    model: {{kind: onnx, path: {self.folder}/a.onnx}}\n    output: logits\n", out)
            for kind in ("onnx", "openvino"):
                runner = formats.load_onnx(self.folder / "a.onnx", kind)
                for count in (1, 5):
                    images = torch.rand(count, 3, 4, 4)
                    torch.testing.assert_close(runner(images), nets.residual().eval()(images), rtol=1e-4, atol=1e-4)

    def test_attention_that_pytorch_computes_by_a_fused_operator_is_written_by_plain_ones(self) -> None:
        import torch

        out = self.exported("model", "nets:attentive", *SHAPE, "--output", self.folder / "a.onnx")
        self.assertIn("a.onnx: largest difference to the original", out)
        self.assertTrue(torch.backends.mha.get_fastpath_enabled())

    def test_an_onnx_model_may_have_a_fixed_batch_and_one_of_several_outputs(self) -> None:
        import onnxruntime

        self.exported("model", "nets:fixed_batch", *SHAPE, "--output", self.folder / "a.onnx", "--batch", 2)
        self.assertEqual(onnxruntime.InferenceSession(self.folder / "a.onnx").get_inputs()[0].shape, [2, 3, 4, 4])
        self.exported("model", "nets:answers_dict", *SHAPE, "--output", self.folder / "b.onnx", "--entry", "pooler_output",
                      "--mean", "0.5", "--std", "0.2")
        self.assertEqual([output.name for output in onnxruntime.InferenceSession(self.folder / "b.onnx").get_outputs()],
                         ["output"])

    def test_a_trace_that_fixed_a_branch_is_found_out(self) -> None:
        code, _, errors = self.export("model", "nets:branches", *SHAPE, "--output", self.folder / "a.onnx")
        self.assertEqual(code, 1)
        self.assertIn("does not agree with the original", errors)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.exported("model", "nets:branches", *SHAPE, "--output", self.folder / "a.onnx", "--method", "script")

    def test_what_is_missing_is_said_with_what_to_install(self) -> None:
        def refused() -> str:
            text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.onnx")
            self.assertEqual(list(self.folder.iterdir()), [])
            return text

        with unittest.mock.patch.dict(sys.modules, {"onnx": None}):
            text = refused()
        self.assertIn("writing an .onnx file needs the Python package 'onnx', which is not installed", text)
        self.assertIn("pip install onnx", text)
        find = importlib.util.find_spec
        with unittest.mock.patch("importlib.util.find_spec",
                                 lambda name: None if name in ("onnxruntime", "openvino") else find(name)):
            text = refused()
        self.assertIn("is checked with ONNX Runtime or OpenVINO, and neither is installed", text)
        self.assertIn("pip install onnxruntime", text)
        with unittest.mock.patch("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else find(name)):
            out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.onnx")
        self.assertIn("{kind: openvino, path:", out)

    def test_models_that_no_onnx_file_can_hold_are_rejected(self) -> None:
        from tutti.export import formats

        with unittest.mock.patch.object(formats, "ONNX_BYTES", 100):
            text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.onnx")
        self.assertIn("an .onnx file holds less than 2 GiB, and the weights are 0.0 GiB", text)
        text = self.refused("model", "nets:no_onnx", *SHAPE, "--output", self.folder / "a.onnx")
        self.assertIn("torch.onnx cannot export the model: ", text)
        self.assertIn("use --format pt or --format pt2", text)


class Best(ExportTest):
    """The fastest of several formats, with a stand-in for the program that measures."""

    def setUp(self) -> None:
        super().setUp()
        from tutti.export import best, model

        self.best, self.forms = best, {}
        self.patch(best, "program", lambda: Path("/no/program"))
        self.patch(best, "measured", self.measured)
        self.patch(model, "TRIED", ("pt", "onnx"))

    def patch(self, owner: Any, name: str, value: Any) -> None:
        patch = unittest.mock.patch.object(owner, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def measured(self, files: list[Path], *words: Any) -> list[Any]:
        self.asked = words
        kinds = {".pt": ["torchscript"], ".onnx": ["onnx", "openvino"]}
        return [self.best.Form(kind, file, *self.forms[kind]) for file in files for kind in kinds[file.suffix]]

    def needs_onnx(self) -> None:
        if importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None:
            self.skipTest("this Python has no onnx or no onnxruntime")

    def test_the_fastest_is_kept_and_the_table_has_the_others(self) -> None:
        self.needs_onnx()
        self.forms = {"torchscript": (100.0, 32, 0.0, "it is slower"), "onnx": (250.0, 16, 1.5e-7, "it is slower"),
                      "openvino": (300.0, 16, 2e-7, "")}
        out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "m-v1.5", "--best", "--threads", 2)
        self.assertEqual([file.name for file in self.folder.iterdir()], ["m-v1.5.onnx"])
        self.assertEqual(self.asked, ("logits", (3, 4, 4), None, 2))
        for line in ("m-v1.5.pt: largest difference to the original", "m-v1.5.onnx: largest difference to the original",
                     "measuring 2 files",
                     "form          file     images/s  batch  difference\n"
                     "torchscript   .pt           100     32     0.0e+00\n"
                     "onnx          .onnx         250     16     1.5e-07\n"
                     "openvino      .onnx         300     16     2.0e-07  kept\n"
                     f"  - name: m-v1.5\n    model: {{kind: openvino, path: {self.folder}/m-v1.5.onnx}}\n"):
            self.assertIn(line, out)

    def test_what_could_not_be_tried_is_said(self) -> None:
        self.forms = {"torchscript": (100.0, 32, 0.0, "")}
        with unittest.mock.patch.dict(sys.modules, {"onnx": None}):
            out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "m", "--best")
        self.assertIn("onnx          -               -      -           -\n"
                      "onnx: writing an .onnx file needs the Python package 'onnx', which is not installed; pip install onnx\n",
                      out)
        self.assertEqual([file.name for file in self.folder.iterdir()], ["m.pt"])

    def test_nothing_is_kept_if_nothing_agrees(self) -> None:
        self.needs_onnx()
        text = self.export("model", "nets:branches", *SHAPE, "--output", self.folder / "m", "--best")[2]
        self.assertIn("no file could be made", text)
        self.assertIn("onnx: the exported file does not agree with the original; it differs by", text)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_folder_in_the_place_of_a_file_is_rejected(self) -> None:
        (self.folder / "m.onnx").mkdir()
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "m", "--best")
        self.assertIn("m.onnx': it is a folder", text)

    def test_the_description_for_the_program_is_what_it_reads(self) -> None:
        import yaml

        text = self.best.description([Path("/a b/m.pt"), Path("/a b/m.onnx")], "features", (3, 224, 224), None, 2, Path("/o"))
        found = yaml.safe_load(text)
        self.assertEqual(found["members"], [{"name": "model", "model": {"kind": "auto", "files": ["/a b/m.pt", "/a b/m.onnx"]},
                                             "output": "features"}])
        self.assertEqual((found["segment_images"], found["batch_images"], found["threads"]), (111, "auto", 2))
        self.assertEqual(found["combine"], {"rule": "none", "over": "features"})
        found = yaml.safe_load(self.best.description([Path("/m.pt")], "logits", (3, 4, 4), 8, 0, Path("/o")))
        self.assertEqual((found["segment_images"], found["batch_images"]), (8, 8))


class Program(ExportTest):
    """The program that measures, as a stand-in."""

    def stand_in(self, text: str) -> None:
        from tutti.export import best

        program = self.write("tutti", "#!/bin/sh\n" + text)
        program.chmod(0o755)
        patch = unittest.mock.patch.object(best, "program", lambda: program)
        patch.start()
        self.addCleanup(patch.stop)

    def measured(self) -> list[Any]:
        from tutti.export import best

        return best.measured([Path("/m.pt")], "logits", (3, 4, 4), None, 0)

    def test_forms_come_from_its_report(self) -> None:
        forms = [{"model": "torchscript /a b/m.pt", "chosen": False, "batch_images": 32, "images_per_second": 10.5,
                  "difference": 0.0, "reason": "it is slower"},
                 {"model": "onnx /a b/m.onnx", "chosen": True, "batch_images": 16, "images_per_second": 20.5,
                  "difference": None, "reason": ""}]
        self.write("report.json", json.dumps({"members": [{"forms": forms}]}))
        self.stand_in(f'[ "$1 $3 $4" = "run --no-cache --quiet" ] || exit 9\nout=$(sed -n "s/^output: //p" "$2")\nmkdir "$out" && cp {self.folder}/report.json "$out"\n')
        from tutti.export.best import Form

        self.assertEqual(self.measured(), [Form("torchscript", Path("/a b/m.pt"), 10.5, 32, 0.0, "it is slower"),
                                           Form("onnx", Path("/a b/m.onnx"), 20.5, 16, None, "")])

    def test_what_it_says_is_the_error_if_it_fails(self) -> None:
        from tutti.export.errors import ExportError

        self.stand_in("echo 'tutti: no form can be started' >&2; exit 2\n")
        with self.assertRaises(ExportError) as failed:
            self.measured()
        self.assertIn("tutti: no form can be started", str(failed.exception))
        self.stand_in("kill -9 $$\n")
        with self.assertRaises(ExportError) as failed:
            self.measured()
        self.assertIn("ended by signal 9", str(failed.exception))
        self.stand_in("kill -2 $$\n")
        with self.assertRaises(KeyboardInterrupt):
            self.measured()

    def test_without_a_program_nothing_is_exported(self) -> None:
        from tutti import _environment

        with unittest.mock.patch.object(_environment, "PACKAGE", self.folder / "a" / "b" / "tutti"), \
                unittest.mock.patch.dict("os.environ", {"PATH": str(self.folder)}):
            text = self.refused("model", "nets:no_such_function", *SHAPE, "--output", self.folder / "m", "--best")
        self.assertIn("--best measures with the program tutti, which was not found", text)
        self.assertIn("scripts/demo", text)

    def test_libraries_of_this_environment_are_shown_to_it(self) -> None:
        from tutti import _environment
        from tutti.export import best

        with unittest.mock.patch.object(_environment, "folder_of", lambda package: Path("/site") / package), \
                unittest.mock.patch.dict("os.environ", {"TUTTI_OPENVINO": "/mine", "TUTTI_ONNXRUNTIME": ""}):
            found = best.environment()
        self.assertEqual((found["TUTTI_ONNXRUNTIME"], found["TUTTI_OPENVINO"]), ("/site/onnxruntime", "/mine"))


if __name__ == "__main__":
    run_tests("torch", "yaml")
