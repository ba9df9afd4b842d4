"""Tests of `tutti.export model --shards` and `--cut`: where it cuts, what the files compute together, its errors, and a run of
the program with the member that it prints. Need torch."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

from support import HERE, ExportTest, run_tests

sys.path.insert(0, str(HERE))
SHAPE = ("--shape", "3,4,4")
TUTTI = os.environ.get("TUTTI_PROGRAM", "")


class Shards(ExportTest):
    def test_the_files_together_compute_the_bits_of_the_whole(self) -> None:
        import torch
        import nets

        for words, cut in ((("--cut", "2,4"), [2, 4]), (("--cut", "6"), [6]), (("--shards", 7), list(range(1, 7)))):
            out = self.exported("model", "nets:layered", *SHAPE, "--output", self.folder / "net.pt", *words)
            self.assertIn("net.pt: largest difference to the original 0 ", out)
            files = [self.folder / f"net.{number}.pt" for number in range(len(cut) + 1)]
            self.assertEqual(sorted(self.folder.glob("*")), files)
            stages = ", ".join(f"{{model: {{kind: torchscript, path: {file}}}}}" for file in files)
            self.assertIn(f"  - name: net\n    stages: [{stages}]\n    output: logits\n", out)
            held = [torch.jit.load(file) for file in files]
            images = torch.rand(5, 3, 4, 4)
            values = images
            for part in held:
                values = part(values)
            self.assertTrue(torch.equal(values, nets.layered().eval()(images)))
            # Each weight is in one file.
            self.assertEqual(sum(len(part.state_dict()) for part in held), len(nets.layered().state_dict()))
            for file in files:
                file.unlink()

    def test_which_layers_a_file_has_is_said(self) -> None:
        out = self.exported("model", "nets:layered", *SHAPE, "--output", self.folder / "net.pt", "--cut", "2,3")
        self.assertIn(f"{self.folder}/net.0.pt: layers 0 to 1 of 7, 776 bytes\n", out)
        self.assertIn(f"{self.folder}/net.1.pt: layer 2 of 7, 0 bytes\n", out)

    def test_the_heaviest_shard_is_as_light_as_it_can_be(self) -> None:
        from tutti.export.shards import balanced

        everywhere = [True] * 6
        self.assertEqual(balanced([[1, 1, 1, 1, 1, 1]], everywhere, 3), [2, 4])
        self.assertEqual(balanced([[6, 1, 1, 1, 1, 1]], everywhere, 2), [1])
        self.assertEqual(balanced([[1, 1, 1, 1, 1, 6]], everywhere, 2), [5])
        # By bytes alone it would be [1], by time alone [5]: the larger share of each shard counts.
        self.assertEqual(balanced([[6, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 6]], everywhere, 2), [3])
        self.assertEqual(balanced([[4, 1, 1, 1, 1, 4], [1, 2, 3, 3, 2, 1]], everywhere, 2), [3])
        self.assertEqual(balanced([[0, 0, 0], [1, 1, 1]], [True] * 3, 3), [1, 2])  # no weights at all

    def test_a_shard_begins_only_where_one_tensor_is_passed(self) -> None:
        from tutti.export.shards import balanced

        self.assertEqual(balanced([[1, 1, 1, 1]], [False, False, False, True], 2), [3])
        self.assertIsNone(balanced([[1, 1, 1, 1]], [False, False, False, True], 3))
        out = self.exported("model", "nets:layered_with_sides", *SHAPE, "--output", self.folder / "s.pt", "--shards", 3)
        self.assertIn("s.0.pt: layer 0 of 4", out)
        self.assertIn("s.1.pt: layers 1 to 2 of 4", out)
        text = self.refused("model", "nets:layered_with_sides", *SHAPE, "--output", self.folder / "s.pt", "--cut", "2")
        self.assertIn("a shard cannot begin with layer 2: the one before it outputs a tuple", text)
        self.assertIn("one tensor of float32 [images, ...] is passed from shard to shard", text)
        text = self.refused("model", "nets:layered_with_sides", *SHAPE, "--output", self.folder / "s.pt", "--shards", 4)
        self.assertIn("the model cannot be cut into 4 shards", text)

    def test_what_cannot_be_cut_is_refused_and_leaves_no_file(self) -> None:
        whole = self.folder / "net.pt"

        def refused(source: str, *words: object) -> str:
            text = self.refused("model", source, *SHAPE, "--output", whole, *words)
            self.assertEqual(list(self.folder.iterdir()), [])
            return text

        text = refused("nets:mlp", "--shards", 2)
        self.assertIn("--shards and --cut are for an nn.Sequential, and this is a Mlp", text)
        self.assertIn("nn.Sequential(model.stem", text)
        self.assertIn("the model has 7 layers, and 8 shards are wanted", refused("nets:layered", "--shards", 8))
        self.assertIn("--cut names layer 7, and the layers are 0 to 6", refused("nets:layered", "--cut", "7"))
        self.assertIn("--shards must be from 2 to 16, not 1", refused("nets:layered", "--shards", 1))
        self.assertIn("--cut takes layers, counted from 0, with commas between", refused("nets:layered", "--cut", "2,x"))
        self.assertIn("--cut must ascend from 1 or more", refused("nets:layered", "--cut", "4,2"))
        self.assertIn("--cut must ascend from 1 or more", refused("nets:layered", "--cut", "0,2"))
        self.assertIn("--cut makes 17 shards, and a member has at most 16",
                      refused("nets:layered", "--cut", ",".join(map(str, range(1, 17)))))
        self.assertIn("leave out --shards", refused("nets:layered", "--cut", "2", "--shards", 2))
        self.assertIn("--entry cannot be used with --shards and --cut", refused("nets:layered", "--cut", "2", "--entry", "0"))
        self.assertIn("--weights cannot be used", refused("nets:layered", "--cut", "2", "--weights", "w.safetensors"))
        text = self.refused("model", "nets:layered", *SHAPE, "--output", self.folder / "n.pt2", "--shards", 2)
        self.assertIn("--shards and --cut are for --format pt", text)
        text = self.refused("model", "nets:layered", "--shape", "3,5,5", "--output", whole, "--cut", "2")
        self.assertIn("the model fails on two images of 3x5x5", text)

    @unittest.skipUnless(TUTTI, "the program is not built")
    def test_the_program_predicts_the_same_bits_with_the_shards(self) -> None:
        import numpy

        generator = numpy.random.default_rng(1)
        numpy.save(self.folder / "x.npy", generator.random((70, 3, 4, 4), numpy.float32))
        self.exported("model", "nets:layered", *SHAPE, "--output", self.folder / "whole.pt")
        rest = f"assignment: cpu\nbatch_images: 8\nsegment_images: 20\ninput: {{dataset: npy, images: {self.folder}/x.npy}}\n"
        whole = self.write("whole.yaml", f"members: [{{name: n, model: {{kind: torchscript, path: {self.folder}/whole.pt, "
                           f"optimize: off}}}}]\n{rest}")
        cut = self.folder / "cut.yaml"
        self.exported("model", "nets:layered", *SHAPE, "--output", self.folder / "net.pt", "--shards", 3, "--yaml", cut)
        text = cut.read_text()
        self.assertEqual(text.count("kind: torchscript, "), 3)
        cut.write_text(text.replace("kind: torchscript, ", "kind: torchscript, optimize: off, ") + rest)
        answers = [self.predictions(description) for description in (whole, cut)]
        self.assertEqual(len(answers[0]), 70 * 5 * 4)
        self.assertEqual(answers[0], answers[1])

    def predictions(self, description: Path) -> bytes:
        import numpy

        output = self.folder / description.stem
        done = subprocess.run([TUTTI, "run", description, f"output={output}", "--quiet"], cwd=self.folder, check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return bytes(numpy.load(output / "predictions.npy").tobytes())


if __name__ == "__main__":
    run_tests("torch", "numpy")
