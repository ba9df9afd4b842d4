"""Trains the U-Nets of config/examples/segmentation.yaml and exports them, and makes the pictures that they predict.

Every network sees its own resample of the same few pictures (bagging), and starts from its own seed. Each trains on one
thread in a process of its own, so the same versions of torch give the same networks, however many cores there are.

Writes <folder>/net-0.pt and so on, <folder>/photos/*.png and <folder>/masks/*.png. Needs torch, numpy, pillow.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy
import torch
from torch.nn import functional

from . import unet
from .shapes import CLASSES, make_picture, write_pictures

SIDE = 128  # of the pictures for training
BATCH = 8
LEARNING_RATE = 5e-3
TRAINING_SEED, TEST_SEED = 1, 2


def training_pictures(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values from 0 to 1, count x 3 x side x side, and the class of each pixel."""
    rng = numpy.random.default_rng(TRAINING_SEED)
    pairs = [make_picture(rng, SIDE, SIDE) for _ in range(count)]
    pictures = numpy.stack([picture for picture, _ in pairs]).transpose(0, 3, 1, 2).astype(numpy.float32) / 255
    return torch.from_numpy(pictures), torch.from_numpy(numpy.stack([mask for _, mask in pairs]).astype(numpy.int64))


def random_batch(rng: numpy.random.Generator, pictures: torch.Tensor, masks: torch.Tensor,
                 own: numpy.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Parts of pictures of the resample `own`, some of them mirrored or transposed."""
    parts = []
    for _ in range(BATCH):
        number = own[rng.integers(len(own))]
        y, x = rng.integers(0, SIDE - unet.TILE + 1, 2)
        part = torch.cat([pictures[number], masks[number][None]])[:, y:y + unet.TILE, x:x + unet.TILE]
        part = part.flip(-1) if rng.random() < 0.5 else part
        parts.append(part.transpose(-1, -2) if rng.random() < 0.5 else part)
    batch = torch.stack(parts)
    return batch[:, :3], batch[:, 3].long()


def train(seed: int, steps: int, count: int) -> unet.UNet:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = numpy.random.default_rng(1000 + seed)
    pictures, masks = training_pictures(count)
    own = rng.integers(0, count, count)
    network = unet.UNet(len(CLASSES))
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    weights = torch.tensor([0.5] + [1.0] * (len(CLASSES) - 1))  # most pixels are background
    for _ in range(steps):
        batch, labels = random_batch(rng, pictures, masks, own)
        loss = functional.cross_entropy(network(batch), labels, weight=weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def train_and_export(number: int, steps: int, count: int, folder: Path) -> str:
    """What there is to say of it."""
    from tutti.export.__main__ import main as export

    begin = time.monotonic()
    unet.trained_network = train(number, steps, count)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = export(["model", "segmentation.unet:trained", "--output", str(folder / f"net-{number}.pt"), "--shape",
                       f"3,{unet.TILE},{unet.TILE}", "--no-input"])
    if code != 0:
        raise SystemExit(f"net-{number} could not be exported: {text.getvalue()}")
    return f"net-{number}: {steps} steps in {time.monotonic() - begin:.0f} s; {text.getvalue().splitlines()[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="train-segmentation", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/segmentation"), help="where all goes (%(default)s)")
    parser.add_argument("--members", type=int, default=5, help="how many networks (%(default)s)")
    parser.add_argument("--steps", type=int, default=450, help="of training, for each (%(default)s)")
    parser.add_argument("--pictures", type=int, default=8, help="for training (%(default)s)")
    parser.add_argument("--test-pictures", type=int, default=20, help="for testing (%(default)s)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    write_pictures(options.folder, TEST_SEED, options.test_pictures)
    workers = min(options.members, len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(train_and_export, number, options.steps, options.pictures, options.folder)
                for number in range(options.members)]
        for job in jobs:
            print(job.result(), flush=True)
