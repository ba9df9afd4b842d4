"""Tests of `tutti.export model`: its files agree with the original, and its errors. They need torch, transformers and
safetensors; the packages of AOTInductor a C++ compiler, and a minute each."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from support import HERE, ExportTest, run_tests

sys.path.insert(0, str(HERE))
SHAPE = ("--shape", "3,4,4")


class ElsewhereModel:
    """Stands for a model of another library, such as scikit-learn."""


class Models(ExportTest):
    """Modules of the user, and the words of the command."""

    def test_a_module_becomes_torchscript_that_answers_the_same(self) -> None:
        import torch
        import nets

        out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt")
        self.assertIn("largest difference to the original", out)
        self.assertIn(f"  - name: a\n    model: {{kind: torchscript, path: {self.folder}/a.pt}}\n    output: logits\n", out)
        images = torch.rand(5, 3, 4, 4)
        torch.testing.assert_close(torch.jit.load(self.folder / "a.pt")(images), nets.mlp()(images))

    def test_a_module_may_output_a_mask_of_each_image(self) -> None:
        import torch

        out = self.exported("model", "nets:answers_dict", *SHAPE, "--entry", "last_hidden_state", "--output",
                            self.folder / "a.pt")
        self.assertIn("largest difference to the original 0 ", out)
        self.assertEqual(torch.jit.load(self.folder / "a.pt")(torch.rand(5, 3, 4, 4)).shape, (5, 3, 4, 4))

    def test_weights_of_torchscript_stand_in_a_file_of_their_own(self) -> None:
        import torch
        from safetensors.torch import load_file
        import nets

        for method in ("trace", "script"):
            out = self.exported("model", "nets:residual", *SHAPE, "--output", self.folder / "n.pt", "--method", method,
                                "--weights", self.folder / "a.safetensors")
            self.assertIn(f"model: {{kind: torchscript, path: {self.folder}/n.pt, weights: {self.folder}/a.safetensors}}",
                          out)
            expected = nets.residual().state_dict()
            found = load_file(self.folder / "a.safetensors")
            self.assertEqual(found.keys(), expected.keys())
            self.assertIn("bn1.num_batches_tracked", found)
            for name, tensor in expected.items():
                self.assertTrue(torch.equal(found[name], tensor), name)
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt2", "--weights", "w.safetensors")
        self.assertIn("--weights is for --format pt: a package keeps its own", text)
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.safetensors", "--weights",
                            "w.safetensors")
        self.assertIn("safetensors are the weights", text)
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt", "--weights", "w.pt")
        self.assertIn("takes a .safetensors file, not 'w.pt'", text)

    def test_scripting_keeps_what_a_trace_loses(self) -> None:
        code, _, errors = self.export("model", "nets:branches", *SHAPE, "--output", self.folder / "a.pt", "--yaml",
                                      self.folder / "e.yaml")
        self.assertEqual(code, 1)
        self.assertIn("does not agree with the original", errors)
        self.assertIn("nothing is kept, and no member was added", errors)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.exported("model", "nets:branches", *SHAPE, "--output", self.folder / "b.pt", "--method", "script")
        text = self.refused("model", "nets:unscriptable", *SHAPE, "--output", self.folder / "c.pt", "--method", "script")
        self.assertIn("TorchScript cannot script the model", text)

    def test_a_trace_that_fixed_the_batch_is_found_out(self) -> None:
        text = self.refused("model", "nets:fixed_batch", *SHAPE, "--output", self.folder / "a.pt")
        self.assertIn("the model fails on a batch of 1: RuntimeError: ", text)
        self.assertIn("--format pt2 with --batch N", text)
        code, _, errors = self.export("model", "nets:length_of_batch", *SHAPE, "--output", self.folder / "a.pt")
        self.assertEqual(code, 1)
        self.assertIn("the exported file fails on a batch of 1, and the model does not\n  detail: RuntimeError: ", errors)
        self.exported("model", "nets:length_of_batch", *SHAPE, "--output", self.folder / "b.pt", "--method", "script")
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["b.pt"])

    def test_a_trace_that_fixed_the_width_is_found_out(self) -> None:
        code, _, text = self.export("model", "nets:width_of_batch", *SHAPE, "--output", self.folder / "a.pt")
        self.assertEqual(code, 1)
        self.assertFalse((self.folder / "a.pt").exists())
        self.assertIn("the exported file outputs (1, 48) for a batch of 1, and the model (1, 5)", text)

    def test_nan_does_not_agree(self) -> None:
        code, out, _ = self.export("model", "nets:answers_nan", *SHAPE, "--output", self.folder / "a.pt")
        self.assertEqual(code, 1)
        self.assertIn("largest difference to the original inf", out)

    def test_an_entry_of_several_is_chosen(self) -> None:
        import torch

        for source, entry in (("nets:answers_dict", "pooler_output"), ("nets:answers_tuple", "1")):
            self.exported("model", source, *SHAPE, "--output", self.folder / "one.pt", "--entry", entry)
            self.assertEqual(torch.jit.load(self.folder / "one.pt")(torch.rand(3, 3, 4, 4)).shape, (3, 5))
            out = self.exported("model", source, *SHAPE, "--output", self.folder / "all.pt", "--entry", entry,
                                "--all-entries", "--answers", "features")
            self.assertIn(f"all.pt, output: {entry if entry != '1' else chr(34) + '1' + chr(34)}}}", out)
            self.assertIn("output: features", out)
            self.assertNotIsInstance(torch.jit.load(self.folder / "all.pt")(torch.rand(3, 3, 4, 4)), torch.Tensor)

    def test_outputs_that_are_not_tensors_are_rejected(self) -> None:
        for source, words, text in (
                ("answers_dict", [], "has several entries; there are last_hidden_state, pooler_output"),
                ("answers_dict", ["--entry", "logits"], "has no entry 'logits'"),
                ("one_for_all", [], "the model outputs 48 for two images, and [images, ...] with at most 6 axes is needed"),
                ("mlp", ["--entry", "0"], "--entry 0 is for a tuple or a dict"),
                ("answers_text", [], "outputs a str"),
                ("answers_dict_of_text", ["--entry", "what"], "the entry 'what' is a str")):
            self.assertIn(text, self.refused("model", f"nets:{source}", *SHAPE, *words, "--output", self.folder / "a.pt"))

    def test_tuttis_own_networks_become_weights(self) -> None:
        out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "m.safetensors")
        self.assertIn(f"model: {{kind: mlp, layers: [16, 5], weights: {self.folder}/m.safetensors}}\n", out)
        self.assertNotIn("output:", out)
        out = self.exported("model", "nets:small_cnn", "--shape", "3,32,32", "--output", self.folder / "c.safetensors")
        self.assertIn("{kind: small-cnn, classes: 7, weights:", out)

    def test_a_network_that_only_has_the_names_is_found_out(self) -> None:
        code, _, errors = self.export("model", "nets:tanh_mlp", *SHAPE, "--output", self.folder / "m.safetensors")
        self.assertEqual(code, 1)
        self.assertIn("does not agree", errors)
        text = self.refused("model", "nets:answers_tuple", *SHAPE, "--entry", "0", "--output", self.folder / "m.safetensors")
        self.assertIn("neither those of a small-cnn nor those of an mlp", text)
        self.assertIn("conv1.weight: missing instead of 32x3x3x3", text)

    def test_members_are_added_to_a_file(self) -> None:
        file = self.folder / "e.yaml"
        for name in ("a", "b"):
            out = self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / f"{name}.pt", "--yaml", file,
                                "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.25")
            self.assertIn(f"member '{name}' added", out)
        self.assertEqual(file.read_text().count("input: {mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.25]}"), 2)
        self.exported("model", "nets:mlp", *SHAPE, "--output", self.folder / "c.pt", "--yaml", file, "--mean", "0", "--std",
                      "0.5")
        self.assertIn("input: {mean: [0.0], std: [0.5]}", file.read_text())

    def test_a_file_without_room_for_the_member_is_rejected_before_the_export(self) -> None:
        file = self.write("e.yaml", "members:\n  - {name: a, model: {kind: fake}}\n")
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt", "--yaml", file)
        self.assertIn("already has a member 'a'", text)
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt", "--yaml",
                            self.folder / "none" / "e.yaml")
        self.assertIn("none' does not exist", text)
        self.assertFalse((self.folder / "a.pt").exists())

    def test_a_pickled_module_is_loaded_if_that_is_allowed(self) -> None:
        import torch
        import nets

        file = self.folder / "p.pth"
        torch.save(nets.mlp(), file)
        self.assertIn("--allow-pickle", self.refused("model", file, *SHAPE, "--output", self.folder / "a.pt"))
        self.exported("model", file, *SHAPE, "--output", self.folder / "a.pt", "--allow-pickle")
        state = nets.mlp().state_dict()
        for content, text in ((state, "holds weights without a network: a dict"), ([1], "holds a list"),
                              ({"model_state_dict": state, "epoch": 3}, "a state dict under 'model_state_dict'"),
                              ({f"module.{name}": tensor for name, tensor in state.items()},
                               "names begin with 'module.' of torch.nn.DataParallel"),
                              ({"state_dict": {f"_orig_mod.{name}": tensor for name, tensor in state.items()}},
                               "names begin with '_orig_mod.' of torch.compile")):
            torch.save(content, file)
            self.assertIn(text, self.refused("model", file, *SHAPE, "--output", self.folder / "a.pt", "--allow-pickle"))
        pickled = lambda: self.refused("model", file, *SHAPE, "--output", self.folder / "a.pt", "--allow-pickle")
        file.write_bytes(pickle.dumps({"a": 1}))
        self.assertIn("holds weights without a network", pickled())
        file.write_bytes(pickle.dumps(ElsewhereModel()))
        self.assertIn("holds a ElsewhereModel of", pickled())
        file.write_bytes(b"\x80\x04cno_such_library\nModel\n)R.")
        self.assertIn("is a pickle of 'no_such_library', which is not installed", pickled())
        file.write_text("no pickle")
        self.assertIn("cannot unpickle",
                      self.refused("model", file, *SHAPE, "--output", self.folder / "a.pt", "--allow-pickle"))

    def test_files_of_other_formats_are_named_without_being_loaded(self) -> None:
        import torch
        import nets
        from safetensors.torch import save_file

        torch.jit.script(nets.mlp()).save(self.folder / "script.pt")
        save_file(nets.mlp().state_dict(), self.folder / "w.bin")
        self.write("a.onnx", "\x08\x07\x12")
        (self.folder / "k.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        with zipfile.ZipFile(self.folder / "p.pt2", "w") as package:
            package.writestr("p/data/aotinductor/model/a.so", "")
        self.write("l.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n")
        for name, text in (("script.pt", "is TorchScript already"), ("w.bin", "is a safetensors file"),
                           ("a.onnx", "is an ONNX model"), ("k.h5", "is an HDF5 file"),
                           ("p.pt2", "is an AOTInductor package already"), ("l.pth", "is a Git LFS pointer")):
            found = self.refused("model", self.folder / name, *SHAPE, "--output", self.folder / "o.pt")
            self.assertIn(f"{name}{'' if name == 'l.pth' else chr(39)} {text}", found)
            self.assertIn("hint:", found)

    def test_weights_that_are_tied_are_saved_as_the_documentation_says(self) -> None:
        import torch
        import nets
        from safetensors.torch import load_file, save_model

        self.exported("model", "nets:tied", *SHAPE, "--output", self.folder / "a.pt", "--weights",
                      self.folder / "a.safetensors")
        self.assertEqual({"a.weight", "b.weight", "a.bias", "b.bias"}, set(load_file(self.folder / "a.safetensors")))
        save_model(torch.jit.load(self.folder / "a.pt"), self.folder / "b.safetensors")
        self.assertEqual(len(load_file(self.folder / "b.safetensors")), 3)

    def test_factories_that_do_not_make_a_module_are_rejected(self) -> None:
        for source, text in (("nets:none", "the module 'nets' has no 'none'"), ("no_such:mlp", "cannot import"),
                             ("nets:no_module", "made a int"),
                             ("nets", "'nets' does not name a model"), ("some/nets.py", "the model: some.nets:FUNCTION"),
                             ("nets:failing", "failed: ValueError: no such weights")):
            self.assertIn(text, self.refused("model", source, *SHAPE, "--output", self.folder / "a.pt"))

    def test_options_that_cannot_be_combined_are_rejected(self) -> None:
        pt, pt2 = self.folder / "a.pt", self.folder / "a.pt2"
        for words, text in (
                (["--output", self.folder / "a.h5"], "has no format"),
                (["--output", self.folder / "a.onnx", "--device", "cuda"], "Tutti computes ONNX models on the CPU"),
                (["--output", self.folder / "a.onnx", "--weights", "w.safetensors"], "an .onnx keeps its own"),
                (["--output", self.folder / "a.onnx", "--best"], "leave out --format, and the ending of"),
                (["--output", self.folder / "a", "--best", "--format", "pt"], "--best chooses the format"),
                (["--output", self.folder / "a", "--best", "--device", "cuda"], "--best measures on the CPU"),
                (["--output", self.folder / "a", "--best", "--weights", "w.safetensors"], "the others keep their own"),
                (["--output", self.folder / "a", "--best", "--threads", "0"], "--threads must be from 1 to 1024, not 0"),
                (["--output", self.folder / "a", "--best", "--all-entries", "--entry", "0"], "--all-entries is for"),
                (["--output", pt, "--threads", "2"], "--threads goes with --best"),
                (["--output", pt2, "--all-entries", "--entry", "0"], "--all-entries is for --format pt"),
                (["--output", pt, "--all-entries"], "--all-entries needs --entry"),
                (["--output", pt, "--clip-output", "logits"], "--clip-output logits needs --head"),
                (["--output", pt, "--head", "h"], "--head goes with --clip-output logits"),
                (["--output", pt, "--batch", "4"], "--batch is for --format pt2 and onnx"),
                (["--output", pt, "--mean", "1"], "--mean and --std must be used together"),
                (["--output", pt, "--mean", "a", "--std", "1"], "--mean takes numbers"),
                (["--output", pt, "--mean", "0,0", "--std", "1"], "--mean has 2 values, and the images have 3 channels"),
                (["--output", pt, "--mean", "0", "--std", "1,1,1,1"], "--std has 4 values, and the images have 3"),
                (["--output", pt, "--mean", "0,nan,0", "--std", "1"], "--mean takes finite numbers, not '0,nan,0'"),
                (["--output", pt, "--mean", "0", "--std", "0"], "--std takes finite numbers above 0, not '0'"),
                (["--output", pt, "--mean", "0", "--std", "inf"], "--std takes finite numbers above 0, not 'inf'"),
                (["--output", pt, "--tolerance", "0"], "--tolerance must be above 0"),
                (["--output", pt, "--name", "a b"], "cannot be the name of a member"),
                (["--output", pt2, "--batch", "0"], "--batch takes a number of at least 1"),
                (["--output", pt2, "--max-batch", "1"], "--max-batch must be at least 2"),
                (["--output", pt, "--shape", "3,4"], "--shape takes channels,height,width"),
                (["--output", self.folder / "none" / "a.pt"], "does not exist")):
            self.assertIn(text, self.refused("model", "nets:mlp", *SHAPE, *words))
        self.assertIn("the shape of the images is not known", self.refused("model", "nets:mlp", "--output", pt))
        self.assertIn("the model fails on two images of 3x5x5",
                      self.refused("model", "nets:mlp", "--shape", "3,5,5", "--output", pt))

    def test_a_gpu_that_is_not_there_is_rejected(self) -> None:
        import torch

        if torch.cuda.is_available():
            self.skipTest("there is one")
        text = self.refused("model", "nets:mlp", *SHAPE, "--output", self.folder / "a.pt2", "--device", "cuda")
        self.assertIn("finds no usable GPU", text)


class HuggingFace(ExportTest):
    """Classifiers and CLIP towers, randomly initialised."""

    @classmethod
    def setUpClass(cls) -> None:
        import made_clip

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.models = Path(folder.name)
        cls.clip = made_clip.write_clip(cls.models / "clip")
        cls.tower = made_clip.write_fine_tuned(cls.models / "tower", cls.clip, 1)
        cls.write_classifier()

    @classmethod
    def write_classifier(cls) -> None:
        import torch
        from transformers import ViTConfig, ViTForImageClassification

        torch.manual_seed(3)
        config = ViTConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32,
                           patch_size=8, num_labels=6)
        cls.classifier = ViTForImageClassification(config).eval()
        cls.classifier.save_pretrained(cls.models / "vit")
        (cls.models / "vit" / "preprocessor_config.json").write_text(json.dumps(
            {"size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}))

    def images(self) -> Any:
        import torch

        return torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(9))

    def close(self, found: Any, expected: Any) -> None:
        import torch

        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    def test_a_classifier_becomes_torchscript_with_its_preprocessing(self) -> None:
        import torch

        out = self.exported("model", self.models / "vit", "--output", self.folder / "vit.pt")
        self.assertIn("output: logits\n    input: {resize: 32, rule: exact, interpolation: bilinear, mean: [0.5, 0.5, 0.5]",
                      out)
        with torch.no_grad():
            self.close(torch.jit.load(self.folder / "vit.pt")(self.images()), self.classifier(self.images()).logits)
        out = self.exported("model", self.models / "vit", "--output", self.folder / "b.pt", "--no-input")
        self.assertNotIn("input:", out)

    def test_the_names_of_classes_are_kept_next_to_the_model(self) -> None:
        config = self.models / "vit" / "config.json"
        plain = config.read_text()
        self.addCleanup(config.write_text, plain)
        out = self.exported("model", self.models / "vit", "--output", self.folder / "vit.pt")
        self.assertNotIn("classes", out)  # LABEL_0, LABEL_1 ... are no names
        names = ["tench", "crane", "crane", "d\u00f6g", "e", "f"]  # two classes of ImageNet are cranes
        config.write_text(json.dumps(json.loads(plain) | {"id2label": dict(enumerate(names))}))
        out = self.exported("model", self.models / "vit", "--output", self.folder / "vit.pt")
        file = self.folder / "vit.classes.json"
        self.assertIn(f"{file}: the names of 6 classes; use them with: classes: {file}", out)
        self.assertEqual(json.loads(file.read_text(encoding="utf-8")), names)

    def test_a_classifier_for_any_size_takes_that_of_its_preprocessing(self) -> None:
        import torch
        from transformers import ResNetConfig, ResNetForImageClassification

        torch.manual_seed(4)
        config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
        model = ResNetForImageClassification(config).eval()
        model.save_pretrained(self.folder / "resnet")
        self.assertIn("the shape of the images is not known",
                      self.refused("model", self.folder / "resnet", "--output", self.folder / "a.pt"))
        self.write("resnet/preprocessor_config.json", json.dumps(
            {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 48}, "do_center_crop": True,
             "image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
        out = self.exported("model", self.folder / "resnet", "--output", self.folder / "a.pt")
        self.assertIn("input: {resize: 40, rule: shorter, crop: [32, 48], crop_rounding: floor, interpolation: bilinear", out)
        images = torch.rand(2, 3, 32, 48)
        with torch.no_grad():
            self.close(torch.jit.load(self.folder / "a.pt")(images), model(images).logits)

    def test_a_clip_tower_answers_what_fusion_bench_averages(self) -> None:
        import torch

        out = self.exported("model", self.models / "tower", "--output", self.folder / "t.pt")
        self.assertIn("output: features\n    input: {resize: 32, rule: shorter, crop: 32, crop_rounding: floor, interpolation: bicubic", out)
        with torch.no_grad():
            self.close(torch.jit.load(self.folder / "t.pt")(self.images()), self.tower(self.images()).pooler_output)

    def test_the_tower_of_a_whole_clip_model_may_be_projected(self) -> None:
        import torch

        self.exported("model", self.models / "clip", "--output", self.folder / "p.pt", "--clip-output", "projected")
        with torch.no_grad():
            pooled = self.clip.vision_model(pixel_values=self.images())[1]
            self.close(torch.jit.load(self.folder / "p.pt")(self.images()), self.clip.visual_projection(pooled))

    def test_a_clip_tower_becomes_a_folder_of_safetensors(self) -> None:
        import torch
        from safetensors.torch import load_file
        from transformers import CLIPVisionModel

        out = self.exported("model", self.models / "clip", "--output", self.folder / "t")
        self.assertIn(f"model: {{kind: clip-vit, path: {self.folder}/t, output: pooled}}\n    output: features", out)
        self.assertLessEqual({"config.json", "model.safetensors", "preprocessor_config.json"},
                             {entry.name for entry in (self.folder / "t").iterdir()})
        self.assertFalse([name for name in load_file(self.folder / "t" / "model.safetensors") if "text" in name])
        with torch.no_grad():
            again = CLIPVisionModel.from_pretrained(self.folder / "t").eval()
            self.close(again(self.images()).pooler_output, self.clip.vision_model(pixel_values=self.images())[1])
        text = self.refused("model", self.models / "clip", "--output", self.folder / "t")
        self.assertIn("already exists", text)
        text = self.refused("model", self.models / "clip", "--output", self.folder / "none" / "t")
        self.assertIn("does not exist", text)

    def test_logits_of_a_tower_name_the_head(self) -> None:
        out = self.exported("model", self.models / "tower", "--output", self.folder / "t", "--clip-output", "logits",
                            "--head", "heads/a.safetensors")
        self.assertIn("output: logits, head: heads/a.safetensors}\n    output: logits", out)

    def test_models_are_found_in_the_cache(self) -> None:
        repository = self.folder / "cache" / "hub" / "models--owner--tower"
        shutil.copytree(self.models / "tower", repository / "snapshots" / "abc")
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        self.exported("model", "hf:owner/tower", "--output", self.folder / "t.pt")
        text = self.refused("model", "hf:owner/other", "--output", self.folder / "t.pt")
        self.assertIn("hf download owner/other", text)

    def test_folders_that_are_not_models_are_rejected(self) -> None:
        def refused(name: str, *words: object) -> str:
            return self.refused("model", self.folder / name, "--output", self.folder / "a.pt", *words)

        (self.folder / "empty").mkdir()
        self.assertIn("it has no config.json", refused("empty"))
        self.write("broken/config.json", "{")
        self.assertIn("cannot read", refused("broken"))
        self.write("unknown/config.json", '{"model_type": "no such"}')
        self.assertIn("cannot load", refused("unknown"))
        shutil.copytree(self.models / "tower", self.folder / "tower")
        self.assertIn("lacks 1 tensor that the model needs: visual_projection.weight",
                      refused("tower", "--clip-output", "projected"))

    def test_a_processor_of_transformers_5_is_found_and_copied(self) -> None:
        shutil.copytree(self.models / "tower", self.folder / "tower")
        file = self.folder / "tower" / "preprocessor_config.json"
        self.write("tower/processor_config.json", json.dumps({"image_processor": json.loads(file.read_text())}))
        file.unlink()
        out = self.exported("model", self.folder / "tower", "--output", self.folder / "t.pt")
        self.assertIn("input: {resize: 32, rule: shorter, crop: 32, crop_rounding: floor, interpolation: bicubic, mean:", out)
        self.exported("model", self.folder / "tower", "--output", self.folder / "t")
        self.assertTrue((self.folder / "t" / "processor_config.json").is_file())

    def test_a_model_without_preprocessing_gets_a_member_with_a_note(self) -> None:
        shutil.copytree(self.models / "tower", self.folder / "tower")
        (self.folder / "tower" / "preprocessor_config.json").unlink()
        code, out, errors = self.export("model", self.folder / "tower", "--output", self.folder / "t.pt")
        self.assertEqual((code, "input:" in out), (0, False))
        self.assertIn("so the member has no 'input'; --mean and --std normalise the images", errors)
        for words in (["--no-input"], ["--mean", "0.5", "--std", "0.5"]):
            code, out, errors = self.export("model", self.folder / "tower", "--output", self.folder / "u.pt", *words)
            self.assertEqual((code, "note:" in errors), (0, False))

    def test_preprocessing_that_does_not_fit_the_model_is_rejected(self) -> None:
        shutil.copytree(self.models / "tower", self.folder / "tower")
        self.write("tower/preprocessor_config.json", '{"size": {"height": 8, "width": 16}, "do_normalize": false}')
        text = self.refused("model", self.folder / "tower", "--output", self.folder / "a.pt")
        self.assertIn("gives images of 8x16, and the model takes 32x32", text)


class Packages(ExportTest):
    """AOTInductor, with a compiler; each package takes a while."""

    def setUp(self) -> None:
        super().setUp()
        if not shutil.which("g++"):
            self.skipTest("AOTInductor needs a C++ compiler")

    def metadata(self, file: Path) -> dict[str, str]:
        with zipfile.ZipFile(file) as package:
            name = next(entry for entry in package.namelist() if entry.endswith("wrapper_metadata.json"))
            return json.loads(package.read(name))

    def test_a_package_takes_any_batch_and_says_what_it_was_made_for(self) -> None:
        import made_clip
        import torch

        made_clip.write_clip(self.folder / "clip")
        out = self.exported("model", self.folder / "clip", "--output", self.folder / "t.pt2", "--max-batch", 64)
        self.assertIn(f"model: {{kind: aoti, path: {self.folder}/t.pt2}}\n    output: features", out)
        found = self.metadata(self.folder / "t.pt2")
        self.assertEqual({name: value for name, value in found.items() if name.startswith("tutti.")}, {
            "tutti.batch": "dynamic", "tutti.max_batch": "64", "tutti.torch": torch.__version__.split("+")[0],
            "tutti.device": "cpu", "tutti.isa": torch.backends.cpu.get_cpu_capability()})

    def test_a_package_of_a_fixed_batch_says_which(self) -> None:
        self.exported("model", "nets:answers_dict", *SHAPE, "--entry", "pooler_output", "--output", self.folder / "a.pt2",
                      "--batch", 4)
        self.assertEqual(self.metadata(self.folder / "a.pt2")["tutti.batch"], "4")

    def test_a_model_that_fixes_its_batch_gets_a_hint(self) -> None:
        text = self.refused("model", "nets:fixed_batch", *SHAPE, "--output", self.folder / "a.pt2")
        self.assertIn("torch.export cannot export the model", text)
        self.assertIn("--batch N", text)


if __name__ == "__main__":
    run_tests("torch", "transformers", "safetensors", "yaml")
