"""config/examples/segmentation.yaml in a short form: networks that were hardly trained predict a few pictures. The
predictions are those of a plain loop over tiles and views in torch and NumPy, the masks are theirs, and the report has
the figures that NumPy counts. Arguments: --tutti, the program.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import HERE, ExportTest, run_tests

TUTTI = ""  # the program
ROOT = HERE.parents[1]
TOLERANCE = 2e-5  # of probabilities; a tile or a view too few is off by 1e-2
CLASSES, TILE, MEMBERS = 4, 64, 2
VIEWS = ([], [2], [1])  # axes that are mirrored: identity, hflip, vflip


def begins(length: int) -> list[int]:
    last = max(0, length - TILE)
    return [*range(0, last, TILE // 2), last]


def gaussian() -> Any:
    import numpy

    along = numpy.exp(-((numpy.arange(TILE) - (TILE - 1) / 2) ** 2) / (2 * (TILE / 8) ** 2))
    product = along[:, None] * along[None]
    return numpy.maximum((product / product.max()).astype(numpy.float32), numpy.float32(1e-3))


def probabilities(network: Any, tile: Any) -> Any:
    """The mean over the views, each turned back."""
    import torch

    with torch.no_grad():
        views = [network(tile.flip(axes)[None])[0].softmax(0).flip(axes) for axes in VIEWS]
    return sum(views) / len(views)


def blended(picture: Any, predict: Any) -> Any:
    """Of a picture of 3 x height x width, at least as large as a tile."""
    import numpy
    import torch

    height, width = picture.shape[1:]
    sums = numpy.zeros((CLASSES, height, width), numpy.float32)
    weight_sums = numpy.zeros((height, width), numpy.float32)
    weight = gaussian()
    for y in begins(height):
        for x in begins(width):
            place = (slice(y, y + TILE), slice(x, x + TILE))
            tile = predict(torch.from_numpy(picture[(slice(None), *place)].copy())).numpy()
            sums[(slice(None), *place)] += weight * tile
            weight_sums[place] += weight
    return sums / weight_sums


def mean_iou(pairs: list[tuple[Any, Any]]) -> float:
    """Of masks and labels, over all pictures."""
    import numpy

    each = []
    for label in range(CLASSES):
        both = sum(int(((mask == label) & (truth == label)).sum()) for mask, truth in pairs)
        either = sum(int(((mask == label) | (truth == label)).sum()) for mask, truth in pairs)
        each += [both / either] if either else []
    return float(numpy.mean(each))


class Segmentation(ExportTest):
    def short_run(self) -> Path:
        """Trains, exports and runs; returns the run folder."""
        folder = self.folder / "runs" / "segmentation"
        trained = subprocess.run([sys.executable, "-B", str(ROOT / "scripts" / "train-segmentation"), "--folder", str(folder),
                                  "--members", str(MEMBERS), "--steps", "60", "--pictures", "4", "--test-pictures", "3"],
                                 capture_output=True, text=True)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        self.assertEqual(trained.stdout.count("largest difference to the original"), MEMBERS, trained.stdout)
        lines = (ROOT / "config" / "examples" / "segmentation.yaml").read_text().splitlines()
        left_out = tuple(f"  - {{name: net-{number}," for number in range(MEMBERS, 5))
        self.assertEqual(sum(line.startswith(left_out) for line in lines), 5 - MEMBERS)
        config = self.write("e.yaml", "\n".join(line for line in lines if not line.startswith(left_out)))
        run = subprocess.run([TUTTI, "run", str(config), "output=out"], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("mIoU", run.stdout)
        return self.folder / "out"

    def test_the_masks_and_their_scores_are_those_of_a_plain_loop(self) -> None:
        import numpy
        import torch
        from PIL import Image

        out = self.short_run()
        folder = self.folder / "runs" / "segmentation"
        networks = [torch.jit.load(folder / f"net-{number}.pt") for number in range(MEMBERS)]
        predictors = [lambda tile, one=one: probabilities(one, tile) for one in networks]
        predictors.append(lambda tile: sum(probabilities(one, tile) for one in networks) / MEMBERS)
        found: list[list[tuple[Any, Any]]] = [[] for _ in predictors]
        for file in sorted((folder / "photos").iterdir()):
            picture = numpy.asarray(Image.open(file)).transpose(2, 0, 1).astype(numpy.float32) / 255
            truth = numpy.asarray(Image.open(folder / "masks" / file.name))
            wanted = [blended(picture, predict) for predict in predictors]
            self.check_picture(out, file.stem, wanted[-1])
            for pairs, values in zip(found, wanted):
                pairs.append((values.argmax(axis=0), truth))
        report = json.loads((out / "report.json").read_text())
        scores = [member["scores"] for member in report["members"]] + [report["ensemble"]["scores"]]
        self.assertEqual(len(scores), len(found))
        for pairs, score in zip(found, scores):
            self.assertEqual(score["compared"], sum(truth.size for _, truth in pairs))
            self.assertAlmostEqual(score["mean_iou"], mean_iou(pairs), delta=2e-3)  # a few pixels are undecided
        self.assertGreater(scores[-1]["mean_iou"], 0.25)  # background alone has less

    def check_picture(self, out: Path, name: str, wanted: Any) -> None:
        import numpy
        from PIL import Image

        values = numpy.load(out / "predictions" / f"{name}.npy")
        self.assertEqual(values.shape, wanted.shape)
        self.assertLess(numpy.abs(values - wanted).max(), TOLERANCE)
        first, second = numpy.sort(wanted, axis=0)[:-3:-1]
        clear = first - second > 2 * TOLERANCE
        self.assertGreater(clear.mean(), 0.99)
        mask = Image.open(out / "masks" / f"{name}.png")
        self.assertEqual(mask.mode, "P")
        self.assertTrue((numpy.asarray(mask) == wanted.argmax(axis=0))[clear].all())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tutti", required=True)
    known, rest = parser.parse_known_args()
    TUTTI = str(Path(known.tutti).resolve())
    sys.argv[1:] = rest
    run_tests("PIL", "numpy", "torch")
