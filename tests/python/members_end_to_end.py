"""A ViT that squashes its pictures and a ResNet that crops them, exported with the preprocessing of their own processors,
over one folder of pictures that are not square: each scores as transformers does with that processor, in `tutti run` and
in `tutti evaluate`. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import ExportTest, run_tests

TUTTI = ""  # the program
TOLERANCE = 2e-5  # of values up to 1; pictures that are resized twice are off by 1e-2
CLASSES = 5


class Members(ExportTest):
    def write_vit(self) -> Any:
        import torch
        from transformers import ViTConfig, ViTForImageClassification
        from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

        torch.manual_seed(3)
        model = ViTForImageClassification(ViTConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=8,
            num_labels=CLASSES, initializer_range=0.2)).eval()
        model.save_pretrained(self.folder / "vit")
        processor = ViTImageProcessorPil(size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
        processor.save_pretrained(self.folder / "vit")
        return model, processor

    def write_resnet(self) -> Any:
        import torch
        from transformers import ResNetConfig, ResNetForImageClassification
        from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

        torch.manual_seed(4)
        model = ResNetForImageClassification(ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=CLASSES)).eval()
        model.save_pretrained(self.folder / "resnet")
        # As ResNet's checkpoints have it: 73 and the centre of 64, here; rounded, 73 is 64 / 0.875.
        processor = ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875, resample=3,
                                              image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
        processor.save_pretrained(self.folder / "resnet")
        return model, processor

    def write_pictures(self) -> list[Path]:
        from PIL import Image

        from pictures_end_to_end import made

        rng = random.Random(2)
        files = []
        for number in range(24):
            # Pillow 13 resizes tall pictures in another order (docs/images.md): these are not.
            height, width = rng.randint(80, 200), rng.randint(201, 300)
            file = self.folder / "pictures" / f"class-{number % CLASSES}" / f"{number:02}.{'png' if number % 2 else 'jpg'}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(made(rng, height, width, 3)).save(file)
            files.append(file)
        return sorted(files)

    def expected(self, model: Any, processor: Any, files: list[Path]) -> Any:
        import torch
        from PIL import Image

        with torch.no_grad():
            pixels = processor([Image.open(file) for file in files], return_tensors="pt")["pixel_values"]
            return model(pixel_values=pixels.float()).logits.softmax(dim=1)

    def tutti(self, *words: object) -> str:
        answer = subprocess.run([TUTTI, *map(str, words)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return answer.stdout

    def test_a_vit_and_a_resnet_each_score_as_with_their_own_processor(self) -> None:
        import numpy
        import torch

        models = {"vit": self.write_vit(), "resnet": self.write_resnet()}
        files = self.write_pictures()
        members = "".join(
            self.exported("model", self.folder / name, "--output", self.folder / f"{name}.pt").split("\nmembers:\n")[-1]
            for name in models)
        members = "\n".join(line for line in members.splitlines() if line.startswith("  "))
        config = self.write("e.yaml", f"members:\n{members}\nassignment: cpu\nsave_members: true\nsegment_images: 7\n"
                            "batch_images: 3\ninput: {dataset: folder, path: pictures}\n")
        plan = self.tutti("plan", config)
        self.assertIn("2 planes of each picture, which is decoded once", plan)
        self.assertIn("3x64x64 in all slots: 64x64, bilinear; for vit", plan)
        self.assertIn("3x64x64 in all slots: shorter side 73, centre 64x64 (rounding floor), bicubic; for resnet", plan)
        for command in ("run", "evaluate"):
            self.tutti(command, config, f"output={command}")
            for name, (model, processor) in models.items():
                found = torch.from_numpy(numpy.load(self.folder / command / "members" / f"{name}.npy"))
                wanted = self.expected(model, processor, files)
                self.assertEqual(found.shape, wanted.shape)
                self.assertGreater((wanted - wanted[0]).abs().max().item(), 100 * TOLERANCE)  # they see the pictures
                self.assertLess((found - wanted).abs().max().item(), TOLERANCE, (command, name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("PIL", "torch", "transformers")
