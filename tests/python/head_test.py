"""Tests of `tutti.export head`: the numbers in the file are those of transformers. Need torch, transformers, safetensors."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from support import HERE, ExportTest, run_tests

sys.path.insert(0, str(HERE))
CLASSES = ["a cat", "tench", "zebra crossing"]
TEMPLATES = ["a photo of a {}.", "the {}!"]


class Heads(ExportTest):
    @classmethod
    def setUpClass(cls) -> None:
        import made_clip

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.tower = Path(folder.name) / "clip"
        cls.clip = made_clip.write_clip(cls.tower)

    def head(self, *words: object, tower: Path | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        """Tensors and metadata of the head of CLASSES."""
        from safetensors import safe_open

        file = self.folder / "head.safetensors"
        self.exported("head", "--tower", tower or self.tower, "--classes", self.write("c", "\n".join(CLASSES)),
                      "--templates", self.write("t", "\n".join(TEMPLATES)), "--output", file, *words)
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()

    def refused_head(self, *words: object, tower: object = None) -> str:
        return self.refused("head", "--tower", tower or self.tower, "--output", self.folder / "h.safetensors", *words)

    def by_hand(self) -> Any:
        """The weight as CLIP's authors compute it, with transformers' own text features."""
        import torch
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.tower)
        rows = []
        with torch.no_grad():
            for name in CLASSES:
                each = []
                for template in TEMPLATES:  # one by one: padding must change nothing
                    tokens = tokenizer([template.format(name)], return_tensors="pt")
                    features = self.clip.get_text_features(**tokens)
                    features = getattr(features, "pooler_output", features)  # transformers 5 and 4
                    each.append(features[0] / features[0].norm())
                mean = torch.stack(each).mean(dim=0)
                rows.append(mean / mean.norm())
        return torch.stack(rows)

    def test_the_weight_is_the_mean_of_normalised_text_embeddings_normalised_again(self) -> None:
        import torch

        tensors, metadata = self.head()
        torch.testing.assert_close(tensors["weight"], self.by_hand(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(tensors["projection"], self.clip.visual_projection.weight.detach())
        torch.testing.assert_close(tensors["scale"], self.clip.logit_scale.detach().exp())
        self.assertEqual({(name, tensor.dtype) for name, tensor in tensors.items()},
                         {(name, torch.float32) for name in ("weight", "projection", "scale")})
        self.assertEqual(json.loads(metadata["classes"]), CLASSES)
        self.assertEqual(json.loads(metadata["templates"]), TEMPLATES)
        self.assertEqual(metadata["normalize"], "true")
        self.assertRegex(metadata["tower"], "^clip-16 [0-9a-f]{16}$")

    def test_a_head_answers_the_logits_of_the_whole_model(self) -> None:
        import torch
        from tutti.export.head import apply_head

        tensors, _ = self.head()
        with torch.no_grad():
            images = torch.rand(3, 3, 32, 32)
            features = self.clip.vision_model(pixel_values=images)[1]
            projected = self.clip.visual_projection(features)
            expected = torch.nn.functional.normalize(projected, dim=-1) @ self.by_hand().T * self.clip.logit_scale.exp()
            torch.testing.assert_close(apply_head(tensors, features), expected, rtol=1e-4, atol=1e-5)
            tensors, _ = self.head("--features", "projected")
            self.assertNotIn("projection", tensors)
            torch.testing.assert_close(apply_head(tensors, projected), expected, rtol=1e-4, atol=1e-5)

    def test_one_template_gives_what_the_model_itself_answers(self) -> None:
        import torch
        from transformers import AutoTokenizer
        from tutti.export.head import apply_head

        self.exported("head", "--tower", self.tower, "--task", "mnist", "--output", self.folder / "h.safetensors")
        from safetensors.torch import load_file

        tokens = AutoTokenizer.from_pretrained(self.tower)([f'a photo of the number: "{digit}".' for digit in range(10)],
                                                           return_tensors="pt", padding=True)
        images = torch.rand(3, 3, 32, 32)
        with torch.no_grad():
            expected = self.clip(pixel_values=images, **tokens).logits_per_image
            found = apply_head(load_file(self.folder / "h.safetensors"), self.clip.vision_model(pixel_values=images)[1])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    def test_heads_of_one_tower_say_so_and_of_another_do_not(self) -> None:
        import made_clip

        made_clip.write_clip(self.folder / "clip", seed=5)
        shutil.copytree(self.tower, self.folder / "copy")
        towers = {self.head()[1]["tower"], self.head("--features", "projected")[1]["tower"],
                  self.head(tower=self.folder / "copy")[1]["tower"]}
        self.assertEqual(len(towers), 1)
        self.assertNotIn(self.head(tower=self.folder / "clip")[1]["tower"], towers)

    def test_the_users_classes_come_before_those_of_the_task(self) -> None:
        out = self.exported("head", "--tower", self.tower, "--task", "sun397", "--classes", self.write("c", "abbey\nalley"),
                            "--output", self.folder / "h.safetensors")
        self.assertIn("2 classes x 2 templates, takes 32 features", out)

    def test_lists_are_needed_and_checked(self) -> None:
        for words, text in ((["--task", "nothing"], "there is no task 'nothing'"), ([], "no classes are given"),
                            (["--classes", "c", "--classes-from", "p"], "cannot be combined"),
                            (["--classes", self.folder / "none"], "could not read"),
                            (["--classes", self.write("one", "cat")], "at least two classes"),
                            (["--classes", self.write("two", "cat\ncat")], "not unique: cat"),
                            (["--task", "mnist", "--templates", self.write("t", "photo")], "must have {} once")):
            self.assertIn(text, self.refused_head(*words))

    def test_prompts_that_are_too_long_are_named(self) -> None:
        file = self.write("c", "cat\n" + "x" * 90)
        text = self.refused_head("--classes", file)
        self.assertIn(f"the prompts of the class '{'x' * 90}'", text)
        self.assertIn("and the text tower takes 77", text)

    def test_folders_that_hold_no_clip_model_are_rejected(self) -> None:
        import made_clip

        made_clip.write_fine_tuned(self.folder / "tower", self.clip, 1)
        text = self.refused_head("--task", "mnist", tower=self.folder / "tower")
        self.assertIn("is not a CLIPModel: its model_type is 'clip_vision_model'", text)
        self.assertIn("name the model that it was fine-tuned from", text)
        self.assertIn("no readable config.json", self.refused_head("--task", "mnist", tower=self.folder))
        self.assertIn("hf download owner/clip", self.refused_head("--task", "mnist", tower="hf:owner/clip"))
        self.write("empty/config.json", '{"model_type": "clip"}')
        self.assertIn("as a CLIPModel with a tokenizer", self.refused_head("--task", "mnist", tower=self.folder / "empty"))

    def test_weights_that_are_missing_or_broken_are_rejected(self) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(self.tower, self.folder / "clip")
        file = self.folder / "clip" / "model.safetensors"
        tensors = load_file(file)
        save_file({name: tensor for name, tensor in tensors.items() if name != "text_projection.weight"}, file,
                  metadata={"format": "pt"})
        text = self.refused_head("--task", "mnist", tower=self.folder / "clip")
        self.assertIn("lacks 1 tensor of a CLIPModel: text_projection.weight", text)
        tensors["text_projection.weight"].fill_(float("nan"))
        save_file(tensors, file, metadata={"format": "pt"})
        self.assertIn("NaN or infinity", self.refused_head("--task", "mnist", tower=self.folder / "clip"))

    def test_a_head_that_disagrees_with_the_model_is_not_written(self) -> None:
        from unittest import mock

        from tutti.export import head

        with mock.patch.object(head, "check_against_model", return_value=0.5):
            code, _, errors = self.export("head", "--tower", self.tower, "--task", "mnist", "--output",
                                          self.folder / "h.safetensors")
            self.assertEqual(code, 1)
            self.assertIn("logits differ from the model's by 0.5", errors)
        self.assertEqual(list(self.folder.glob("*.safetensors")), [])


if __name__ == "__main__":
    run_tests("torch", "transformers", "safetensors")
