"""Members with views, compared with torch.flip, numpy.rot90 and crops cut out by hand: a classifier of any image size and
a network that outputs a mask. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

from support import ExportTest, run_tests

TUTTI = ""  # the program
TOLERANCE = 2e-6  # of probabilities; views that are mixed up are off by 1e-2
IMAGES, CHANNELS, SIDE = 11, 3, 21


def five_crops(images: Any, height: int, width: int) -> list[Any]:
    """As torchvision.transforms.FiveCrop."""
    right, bottom = images.shape[3] - width, images.shape[2] - height
    # torchvision rounds half a place to the even one, as Python does.
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2.0), round(right / 2.0))]
    return [images[:, :, top:top + height, left:left + width] for top, left in places]


class Views(ExportTest):
    def setUp(self) -> None:
        super().setUp()
        import numpy
        import torch
        from torch import nn

        class Classifier(nn.Module):
            """The mean over a grid: it takes any size and sees where things are."""

            def __init__(self) -> None:
                super().__init__()
                self.conv, self.fc = nn.Conv2d(CHANNELS, 8, 3), nn.Linear(8 * 4, 5)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                x = nn.functional.adaptive_avg_pool2d(self.conv(x).relu(), 2)
                return 20 * self.fc(x.flatten(1))

        torch.manual_seed(1)
        self.classifier = Classifier().eval()
        self.masks = nn.Sequential(nn.Conv2d(CHANNELS, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1)).eval()
        with torch.no_grad():
            self.masks[2].weight.mul_(20)
        self.pixels = numpy.random.default_rng(2).random((IMAGES, CHANNELS, SIDE, SIDE), dtype=numpy.float32)
        numpy.save(self.folder / "images.npy", self.pixels)

    def predicted(self, model: Any, views: str) -> Any:
        """By `tutti run`."""
        import numpy
        import torch

        torch.jit.script(model).save(str(self.folder / "m.pt"))
        config = self.write("e.yaml", "members: [{name: m, model: {kind: torchscript, path: m.pt, optimize: false}}]\nassignment: cpu\n"
                            f"input: {{dataset: npy, images: images.npy}}\nbatch_images: 4\nviews: {views}\n")
        answer = subprocess.run([TUTTI, "run", str(config), "-q", "output=out"], capture_output=True, text=True,
                                cwd=self.folder)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return numpy.load(self.folder / "out" / "predictions.npy")

    def expected(self, model: Any, views: list[tuple[Any, Callable[[Any], Any]]]) -> Any:
        """The mean over pairs of a view and what undoes it in a prediction."""
        import torch

        with torch.no_grad():
            predictions = [undo(model(torch.as_tensor(view.copy())).softmax(dim=1).numpy()) for view, undo in views]
        return sum(predictions) / len(predictions)

    def check(self, model: Any, views: str, expected: list[tuple[Any, Callable[[Any], Any]]]) -> None:
        import numpy

        found, wanted = self.predicted(model, views), self.expected(model, expected)
        self.assertEqual(found.shape, wanted.shape)
        self.assertLess(numpy.abs(found - wanted).max(), TOLERANCE, views)
        without = self.expected(model, [(self.pixels, lambda x: x)])
        self.assertGreater(numpy.abs(without - wanted).max(), 1000 * TOLERANCE, views)  # the views count

    def turns(self, undo: bool) -> tuple[str, list[tuple[Any, Callable[[Any], Any]]]]:
        import numpy
        import torch

        def turn(times: int) -> Callable[[Any], Any]:
            return lambda x: numpy.rot90(x, times, axes=(2, 3))

        def flip(axis: int) -> Callable[[Any], Any]:
            return lambda x: torch.flip(torch.as_tensor(numpy.ascontiguousarray(x)), [axis]).numpy()

        def swap(x: Any) -> Any:
            return x.transpose(0, 1, 3, 2)

        pairs = [(lambda x: x, lambda x: x), (flip(3), flip(3)), (flip(2), flip(2)), (turn(1), turn(-1)),
                 (turn(2), turn(-2)), (turn(3), turn(-3)), (swap, swap)]
        return ("[identity, hflip, vflip, rot90, rot180, rot270, transpose]",
                [(make(self.pixels), back if undo else lambda x: x) for make, back in pairs])

    def test_flips_and_turns_of_rows_and_of_masks(self) -> None:
        self.check(self.classifier, *self.turns(undo=False))
        self.check(self.masks, *self.turns(undo=True))

    def test_crops_are_those_of_torchvision(self) -> None:
        five = five_crops(self.pixels, 16, 14)
        ten = five + five_crops(self.pixels[:, :, :, ::-1], 16, 14)
        for count, crops in (("1", five[4:]), ("5", five), ("10", ten)):
            self.check(self.classifier, f"[{{crops: {count}, size: [16, 14]}}]", [(crop, lambda x: x) for crop in crops])

    def test_scales_are_those_of_antialiased_interpolation(self) -> None:
        import torch
        from torch import nn

        def resized(images: Any, height: int, width: int) -> Any:
            return nn.functional.interpolate(torch.as_tensor(images), (height, width), mode="bilinear", antialias=True,
                                             align_corners=False).numpy()

        for factor in (1.3, 0.7):
            side = int(SIDE * factor)
            view = resized(self.pixels, side, side)
            self.check(self.classifier, f"[{{scale: {factor}}}, identity]",
                       [(view, lambda x: x), (self.pixels, lambda x: x)])
            self.check(self.masks, f"[{{scale: {factor}}}, identity]",
                       [(view, lambda x: resized(x, SIDE, SIDE)), (self.pixels, lambda x: x)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("numpy", "torch")
