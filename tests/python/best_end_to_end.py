"""`tutti.export model --best` with the program: the member that it writes is the fastest of the forms that were measured, and
predicts what the module does. Needs torch and a C++ compiler."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from support import HERE, ExportTest, run_tests

sys.path.insert(0, str(HERE))
TUTTI = Path()


class Best(ExportTest):
    def test_the_member_of_the_fastest_form_predicts_what_the_module_does(self) -> None:
        import numpy
        import torch
        import nets
        from tutti.export import best

        with mock.patch.object(best, "program", lambda: TUTTI):
            out = self.exported("model", "nets:residual", "--shape", "3,4,4", "--output", self.folder / "m", "--best",
                                "--threads", 1, "--yaml", self.folder / "e.yaml")
        print(out)
        self.assertEqual(out.count("  kept\n"), 1)
        self.assertRegex(out, r"(?m)^torchscript   \.pt  +[0-9.e+]+ +\d+ +0\.0e\+00")
        files = sorted(file.name for file in self.folder.glob("m.*"))
        self.assertEqual(len(files), 1)
        self.assertIn(f"path: {self.folder}/{files[0]}", (self.folder / "e.yaml").read_text())
        images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        numpy.save(self.folder / "x.npy", images.numpy())
        with (self.folder / "e.yaml").open("a") as file:
            file.write(f"assignment: cpu\ncombine: {{over: logits}}\ninput: {{dataset: npy, images: {self.folder}/x.npy}}\n")
        subprocess.run([TUTTI, "run", "e.yaml", "output=run", "--quiet"], cwd=self.folder, check=True,
                       env=best.environment())
        found = numpy.load(self.folder / "run" / "predictions.npy")
        torch.testing.assert_close(torch.from_numpy(found), nets.residual().eval()(images).detach(), rtol=1e-4, atol=1e-4)

    def test_libraries_that_are_not_there_are_said(self) -> None:
        from tutti.export import best, model

        nowhere = {name: "/no/library" for name in ("TUTTI_ONNXRUNTIME", "TUTTI_OPENVINO")}
        with mock.patch.object(best, "program", lambda: TUTTI), mock.patch.dict(os.environ, nowhere), \
                mock.patch.object(model, "TRIED", ("pt", "onnx")):
            out = self.exported("model", "nets:mlp", "--shape", "3,4,4", "--output", self.folder / "m", "--best")
        self.assertIn("\nonnx: ", out)
        self.assertIn("kind: torchscript", out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True, type=Path)
    known, rest = parser.parse_known_args()
    TUTTI = known.tutti.resolve()
    sys.argv[1:] = rest
    run_tests("torch", "safetensors", "onnxruntime")
