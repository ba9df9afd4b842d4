"""Writes the references of tests/common/resample_test.cpp to the standard output: what Pillow makes of made-up images.

Needs Pillow and NumPy; run it again only where cases are added.
"""

import math
import sys
import zlib

import numpy
from PIL import Image

FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
           "bicubic": Image.Resampling.BICUBIC}
# Height and width, the rule, its height and width, the crop (0: none).
CASES = [
    (7, 5, "exact", 3, 4, 0, 0),
    (7, 5, "exact", 16, 19, 0, 0),
    (7, 5, "exact", 7, 9, 0, 0),
    (7, 5, "exact", 20, 5, 0, 0),
    (1, 1, "exact", 4, 3, 0, 0),
    (64, 48, "exact", 1, 1, 0, 0),
    (375, 500, "shorter", 224, 224, 224, 224),
    (500, 333, "shorter", 224, 224, 224, 224),
    (333, 500, "shorter", 90, 90, 77, 78),
    (31, 517, "shorter", 17, 17, 0, 0),
    (32, 32, "shorter", 224, 224, 224, 224),
    (20, 30, "shorter", 9, 9, 12, 11),
    (20, 30, "none", 0, 0, 7, 41),
]


def pixels(height, width):
    """The same bytes as pixel() of the test."""
    channel, y, x = numpy.indices((3, height, width), dtype=numpy.uint32)
    mixed = (x * numpy.uint32(2654435761)) ^ (y * numpy.uint32(2246822519)) ^ (channel * numpy.uint32(3266489917))
    mixed ^= mixed >> 15
    mixed *= numpy.uint32(2246822519)
    return (mixed >> 24).astype(numpy.uint8)


def scaled(rule, height, width, to_height, to_width):
    if rule == "none":
        return height, width
    if rule == "exact":
        return to_height, to_width
    if width <= height:
        return int(to_width * height / width), to_width
    return to_height, int(to_height * width / height)


def cropped(image, height, width):
    """About the centre, as the processor of CLIP in transformers does it."""
    if height == 0:
        return image
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    result = numpy.zeros((3, height, width), image.dtype)
    for y in range(height):
        for x in range(width):
            if 0 <= top + y < image.shape[1] and 0 <= left + x < image.shape[2]:
                result[:, y, x] = image[:, top + y, left + x]
    return result


def across_then_down(image, size, method):
    """In two steps, since Pillow 13 begins with the height if that drops by more than twice as many pixels as the
    width; before, and in all other cases, it begins with the width."""
    return image.resize((size[1], image.height), method).resize((size[1], size[0]), method)


for height, width, rule, to_height, to_width, crop_height, crop_width in CASES:
    for name, method in FILTERS.items():
        size = scaled(rule, height, width, to_height, to_width)
        image = Image.fromarray(pixels(height, width).transpose(1, 2, 0))
        resized = numpy.asarray(across_then_down(image, size, method)).transpose(2, 0, 1)
        answer = numpy.ascontiguousarray(cropped(resized, crop_height, crop_width))
        planes = [across_then_down(Image.fromarray(plane.astype(numpy.float32)), size, method)
                  for plane in pixels(height, width)]
        floats = cropped(numpy.stack([numpy.asarray(plane) for plane in planes]), crop_height, crop_width)
        weights = numpy.arange(floats.size).reshape(floats.shape) % 7 - 3
        print(f"    {{{height}, {width}, {{R::{rule}, {to_height}, {to_width}, {crop_height}, {crop_width}, "
              f"I::{name}}}, {answer.shape[1]}, {answer.shape[2]}, 0x{zlib.crc32(answer.tobytes()):08x}, "
              f"{math.fsum((floats.astype(numpy.float64) * weights).ravel()):.3f}}},")
print("made with Pillow", Image.__version__, file=sys.stderr)
