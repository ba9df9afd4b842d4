"""Convolutional networks over images that are larger than their tiles: `tutti run` gives what a plain loop over the tiles
gives, which blends them in NumPy. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import ExportTest, run_tests

TUTTI = ""  # the program
TOLERANCE = 2e-5  # of values up to 1; without weights the border of a tile is off by 1e-2
CLASSES = 4
HEIGHT, WIDTH, TILE = 300, 421, 128


def begins(length: int, overlap: float) -> list[int]:
    step = max(1, int(TILE * (1 - overlap)))
    last = max(0, length - TILE)
    return [*range(0, last, step), last]


def weights(blend: str) -> Any:
    import numpy

    if blend == "mean":
        return numpy.ones((TILE, TILE), numpy.float32)
    along = numpy.exp(-((numpy.arange(TILE) - (TILE - 1) / 2) ** 2) / (2 * (TILE / 8) ** 2))
    product = along[:, None] * along[None]
    return numpy.maximum((product / product.max()).astype(numpy.float32), numpy.float32(1e-3))


class Tiles(ExportTest):
    def write_networks(self) -> list[Any]:
        import torch
        from torch import nn

        networks = []
        for number in range(2):
            torch.manual_seed(number)
            network = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, CLASSES, 3, padding=1)).eval()
            torch.jit.trace(network, torch.rand(1, 3, TILE, TILE)).save(str(self.folder / f"net-{number}.pt"))
            networks.append(network)
        return networks

    def tutti(self, inputs: str, output: str, more: str = "") -> Path:
        members = "\n".join(
            f"  - {{name: net-{number}, model: {{kind: torchscript, path: net-{number}.pt}}, output: logits}}"
            for number in range(2))
        config = self.write("e.yaml", f"members:\n{members}\nassignment: cpu\ncombine: {{rule: mean, over: logits}}\n"
                            f"input: {inputs}\nsegment_images: 6\nbatch_images: 2\n{more}")
        answer = subprocess.run([TUTTI, "run", str(config), f"output={output}"], capture_output=True, text=True,
                                cwd=self.folder)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return Path(self.folder) / output

    def expected(self, networks: list[Any], image: Any, overlap: float, blend: str) -> Any:
        import numpy
        import torch

        channels, height, width = image.shape
        padded = numpy.zeros((channels, max(height, TILE), max(width, TILE)), numpy.float32)
        padded[:, :height, :width] = image
        sums = numpy.zeros((CLASSES, *padded.shape[1:]), numpy.float32)
        weight_sums = numpy.zeros(padded.shape[1:], numpy.float32)
        weight = weights(blend)
        for y in begins(height, overlap):
            for x in begins(width, overlap):
                place = (slice(y, y + TILE), slice(x, x + TILE))
                with torch.no_grad():
                    tile = torch.from_numpy(padded[(slice(None), *place)].copy())[None]
                    mean = sum(network(tile) for network in networks)[0].numpy() / len(networks)
                sums[(slice(None), *place)] += weight * mean
                weight_sums[place] += weight
        return (sums / weight_sums)[:, :height, :width]

    def compare(self, found: Any, classes: Any, wanted: Any) -> None:
        import numpy

        self.assertEqual(found.shape, wanted.shape)
        self.assertLess(numpy.abs(found - wanted).max(), TOLERANCE)
        first, second = numpy.sort(wanted, axis=0)[:-3:-1]
        clear = first - second > 2 * TOLERANCE
        self.assertGreater(clear.mean(), 0.99)
        self.assertTrue((classes == wanted.argmax(axis=0))[clear].all())

    def test_an_array_of_large_images_is_predicted_as_by_a_plain_loop(self) -> None:
        import numpy

        networks = self.write_networks()
        images = numpy.random.default_rng(1).random((2, 3, HEIGHT, WIDTH), numpy.float32)
        numpy.save(self.folder / "big.npy", images)
        for overlap, blend in ((0.5, "gaussian"), (0.25, "mean")):
            out = self.tutti(f"{{dataset: npy, images: big.npy, tiles: {{size: {TILE}, overlap: {overlap}, blend: {blend}}}}}",
                             f"out-{blend}")
            found, classes = numpy.load(out / "predictions.npy"), numpy.load(out / "predicted.npy")
            self.assertEqual(found.dtype, numpy.float32)
            for number in range(2):
                self.compare(found[number], classes[number], self.expected(networks, images[number], overlap, blend))

    def test_pictures_of_different_sizes_are_predicted_as_by_a_plain_loop(self) -> None:
        import numpy
        from PIL import Image

        networks = self.write_networks()
        rng = numpy.random.default_rng(2)
        pictures = {name: rng.integers(0, 256, (height, width, 3), numpy.uint8)
                    for name, height, width in (("wide", 150, 333), ("small", 90, 70), ("exact", TILE, TILE))}
        (self.folder / "scans" / "north").mkdir(parents=True)
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(self.folder / "scans" / "north" / f"{name}.png")
        out = self.tutti(f"{{dataset: folder, path: scans, tiles: {{size: {TILE}}}}}", "out", "masks: png\n")
        for name, pixels in pictures.items():
            wanted = self.expected(networks, pixels.transpose(2, 0, 1).astype(numpy.float32) / 255, 0.5, "gaussian")
            classes = numpy.load(out / "predicted" / "north" / f"{name}.npy")
            self.compare(numpy.load(out / "predictions" / "north" / f"{name}.npy"), classes, wanted)
            mask = Image.open(out / "masks" / "north" / f"{name}.png")
            self.assertEqual(mask.mode, "P")
            self.assertTrue((numpy.asarray(mask) == classes).all())
            self.assertEqual(mask.getpalette()[:9], [0, 0, 0, 128, 0, 0, 0, 128, 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("PIL", "numpy", "torch")
