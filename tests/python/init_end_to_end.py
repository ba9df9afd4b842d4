"""`tutti init` over models that PyTorch wrote: what it writes is planned and run as it stands, and says what the models
output, which size of pictures they take, and what it could not find. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from support import ExportTest, run_tests

TUTTI = ""  # the program
CLASSES = 3


class Init(ExportTest):
    def save(self, name: str, *layers: object) -> None:
        import torch

        torch.manual_seed(len(name))
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        torch.jit.script(torch.nn.Sequential(*layers).eval()).save(str(file))

    def save_any_size(self, name: str) -> None:
        from torch import nn

        self.save(name, nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))

    def save_of_32(self, name: str) -> None:
        from torch import nn

        self.save(name, nn.Flatten(), nn.Linear(3 * 32 * 32, CLASSES))

    def write_pictures(self) -> None:
        from PIL import Image

        for number in range(6):
            file = self.folder / "photos" / ["cat", "dog", "emu"][number % CLASSES] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60 + number, 50), (40 * number, 100, 200)).save(file)

    def tutti(self, *words: object) -> str:
        answer = subprocess.run([TUTTI, *map(str, words)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return answer.stdout

    def check_runs(self, file: str) -> dict:
        self.tutti("plan", file)
        self.tutti("run", file, f"output={file}.out")
        return json.loads((self.folder / f"{file}.out" / "report.json").read_text())

    def test_what_is_written_is_planned_and_run_as_it_stands(self) -> None:
        self.write_pictures()
        self.save_any_size("models/a.pt")
        self.save_any_size("models/b.pt")
        said = self.tutti("init", "models/", "photos/")
        self.assertIn("wrote ensemble.yaml: 2 members, 6 pictures in 3 folders", said)
        text = (self.folder / "ensemble.yaml").read_text()
        self.assertIn("# - a outputs [3] for an image of 224x224.", text)
        self.assertIn("# defaults: {input: imagenet}", text)
        report = self.check_runs("ensemble.yaml")
        self.assertEqual(report["counts"]["images"], 6)
        self.assertIsInstance(report["ensemble"]["accuracy"], float)  # the folders are the classes

    def test_models_that_take_one_size_of_pictures_get_it(self) -> None:
        self.write_pictures()
        self.save_of_32("models/small.pt")
        self.tutti("init", "models", "photos", "-o", "one.yaml")
        self.assertIn("\n  resize: 32\n", (self.folder / "one.yaml").read_text())
        self.check_runs("one.yaml")
        self.save_any_size("models/any.pt")
        self.tutti("init", "models", "photos", "-o", "two.yaml")
        self.check_runs("two.yaml")

    def test_the_processor_next_to_the_models_prepares_their_images(self) -> None:
        self.write_pictures()
        self.save_of_32("models/small.pt")
        (self.folder / "models" / "preprocessor_config.json").write_text(json.dumps({
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "crop_size": 32,
            "image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
        (self.folder / "models" / "labels.txt").write_text("emu\ndog\ncat\n")
        self.tutti("init", "photos", "models")
        self.check_runs("ensemble.yaml")
        table = (self.folder / "ensemble.yaml.out" / "predictions.csv").read_text()
        self.assertIn("\ncat/0.png,cat,", table)

    def test_processors_are_read_as_the_exporter_reads_them(self) -> None:
        import yaml

        from tutti.export import preprocessing

        self.write_pictures()
        (self.folder / "models").mkdir()
        (self.folder / "models" / "a.pt").write_text("x")
        size = {"height": 32, "width": 30}
        edge = {"shortest_edge": 64}
        processors = [{"size": edge, "crop_size": 60, "image_processor_type": "CLIPImageProcessor"}, {"size": 40},
                      {"size": 40, "do_center_crop": True, "crop_pct": 0.9}, {"do_resize": False}]
        processors += [{"image_processor_type": f"{name}ImageProcessor", "size": edge if name == "ConvNext" else size,
                        **({"do_center_crop": False} if name == "Beit" else {})} for name in preprocessing.PLAIN]
        for processor in processors:
            processor |= {"image_mean": [0.5, 0.25, 0.125], "image_std": [0.5] * 3}
            (self.folder / "models" / "preprocessor_config.json").write_text(json.dumps(processor))
            self.tutti("init", "models", "photos", "--no-start", "--force")
            found = yaml.safe_load((self.folder / "ensemble.yaml").read_text())["defaults"]["input"]
            wanted = preprocessing.member_input(dict(processor))
            for key, value in found.items():  # the program writes defaults, and both sizes of a crop
                if key in wanted or key not in ("interpolation", "crop_rounding"):
                    plain = value[0] if isinstance(value, list) and len(value) == 2 and value[0] == value[1] else value
                    self.assertEqual(wanted.get(key), plain, (key, processor))
            self.assertLessEqual(wanted.keys(), found.keys(), processor)

    def test_outputs_that_are_not_classes_are_run_too(self) -> None:
        import numpy
        from torch import nn

        self.write_pictures()
        numpy.save(self.folder / "images.npy", numpy.zeros((6, 3, 16, 16), numpy.float32))
        numpy.save(self.folder / "labels.npy", numpy.arange(6) % CLASSES)
        self.save("value/a.pt", nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.save("mask/a.pt", nn.Conv2d(3, 4, 3, padding=1))
        self.save("plane/a.pt", nn.Conv2d(3, 1, 3, padding=1))
        for models in ("value", "mask", "plane"):
            for images in ("photos", "images.npy"):
                file = f"{models}-{images}.yaml"
                self.tutti("init", models, images, "-o", file)
                self.check_runs(file)

    def test_arrays_are_run_too(self) -> None:
        import numpy

        self.save_of_32("models/small.pt")
        numpy.save(self.folder / "images.npy", numpy.zeros((5, 32, 32, 3), numpy.uint8))
        numpy.save(self.folder / "labels.npy", numpy.zeros(5, numpy.int64))
        self.tutti("init", "models", "images.npy")
        report = self.check_runs("ensemble.yaml")
        self.assertIsInstance(report["ensemble"]["accuracy"], float)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("PIL", "numpy", "torch", "yaml")
