"""Noisy pictures of discs, squares and triangles, each with its mask: the class of every pixel. Made, so that the masks
are known to be right and nothing has to be downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy
from PIL import Image

CLASSES = ("background", "disc", "square", "triangle")
SIDES = (90, 190)  # the shortest and the longest side of a picture for testing
COLOURS = numpy.array([(125, 125, 125), (180, 105, 95), (95, 165, 105), (95, 105, 195)])  # before they vary
NOISE = 60.0  # the standard deviation, of values up to 255


def inside(shape: int, y: numpy.ndarray, x: numpy.ndarray) -> numpy.ndarray:
    """Whether a place is in the shape of radius 1 around (0, 0)."""
    if shape == 1:
        return y * y + x * x < 0.8
    if shape == 2:
        return (abs(y) < 0.75) & (abs(x) < 0.75)
    return (y < 0.75) & (1.6 * abs(x) < y + 1.1)


def make_picture(rng: numpy.random.Generator, height: int, width: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """A picture (height x width x 3) and its mask (height x width), both uint8."""
    y, x = numpy.mgrid[:height, :width].astype(numpy.float64)
    slope = rng.uniform(-0.05, 0.05, (2, 3))
    picture = COLOURS[0] + rng.normal(0, 5, 3) + y[..., None] * slope[0] + x[..., None] * slope[1]
    mask = numpy.zeros((height, width), numpy.uint8)
    for _ in range(max(3, height * width // 1600)):
        shape, radius, turn = int(rng.integers(1, len(CLASSES))), rng.uniform(9, 18), rng.uniform(0, 2 * numpy.pi)
        down, right = y - rng.uniform(0, height), x - rng.uniform(0, width)
        place = inside(shape, (down * numpy.cos(turn) - right * numpy.sin(turn)) / radius,
                       (down * numpy.sin(turn) + right * numpy.cos(turn)) / radius)
        picture[place] = COLOURS[shape] + rng.normal(0, 8, 3)
        mask[place] = shape
    picture += rng.normal(0, NOISE, picture.shape)
    return picture.clip(0, 255).round().astype(numpy.uint8), mask


def write_pictures(folder: Path, seed: int, count: int) -> None:
    """Pictures of different sizes, as photos/<name>.png, and their masks, as masks/<name>.png in grey."""
    rng = numpy.random.default_rng(seed)
    for name in ("photos", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in (folder / name).glob("*.png"):
            old.unlink()
    for number in range(count):
        height, width = (int(side) for side in rng.integers(*SIDES, 2))
        picture, mask = make_picture(rng, height, width)
        Image.fromarray(picture).save(folder / "photos" / f"{number:02}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:02}.png")
