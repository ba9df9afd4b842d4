"""Compares the planes that Tutti makes of pictures with torchvision's transforms and with transformers' processors: the
same bytes for 200 pictures of many sizes, colours and formats, but for the exceptions in docs/images.md, which are
counted here. Arguments: --planes, the program dump-planes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import struct
import subprocess
import sys
import unittest
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator

from support import ExportTest, run_tests

COUNT = 200
PLANES = ""  # the program


def made(rng: random.Random, height: int, width: int, channels: int) -> Any:
    """A picture with edges, slopes and some noise."""
    import numpy

    noise = numpy.random.default_rng(rng.randrange(1 << 30))
    y, x = numpy.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        slope = x * rng.uniform(-2, 2) + y * rng.uniform(-2, 2) + rng.uniform(0, 255)
        stripes = 90 * ((x // rng.randint(1, 40) + y // rng.randint(1, 40)) % 2)
        planes.append((slope + stripes + noise.integers(0, 30, (height, width))) % 256)
    return numpy.stack(planes, axis=2).astype(numpy.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def deep_png(samples: Any, colour: int, more: bytes = b"") -> bytes:
    """A PNG of 16 bits, which Pillow reads but, with several channels, does not write. `colour` is that of IHDR."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def deep(rng: random.Random, height: int, width: int, channels: int) -> Any:
    """Values of 16 bits, many of them below 256, where Pillow's grey is not white."""
    import numpy

    values = numpy.random.default_rng(rng.randrange(1 << 30)).integers(0, 1 << 16, (height, width, channels))
    return (values >> (values & 1) * 8).astype(numpy.uint16)


def jpeg(image: Any, rng: random.Random) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=rng.choice((60, 80, 95)), subsampling=rng.choice((0, 1, 2)),
               progressive=rng.random() < 0.3)
    return out.getvalue()


def png(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def picture(number: int, rng: random.Random) -> tuple[str, bytes]:
    """The file of one picture; its kind goes round with its number."""
    from PIL import Image

    height, width = rng.randint(1, 420), rng.randint(1, 420)
    rgb = Image.fromarray(made(rng, height, width, 3))
    four = made(rng, height, width, 4)
    kinds: list[Callable[[], tuple[str, bytes]]] = [
        lambda: ("rgb.jpg", jpeg(rgb, rng)),
        lambda: ("rgb.png", png(rgb)),
        lambda: ("grey.jpg", jpeg(rgb.convert("L"), rng)),
        lambda: ("grey.png", png(rgb.convert("L"))),
        lambda: ("cmyk.jpg", jpeg(Image.fromarray(four, "CMYK"), rng)),
        lambda: ("palette.png", png(rgb.convert("P", palette=Image.Palette.ADAPTIVE))),
        lambda: ("rgba.png", png(Image.fromarray(four, "RGBA"))),
        lambda: ("grey_alpha.png", png(Image.fromarray(four, "RGBA").convert("LA"))),
        lambda: ("bits.png", png(rgb.convert("1"))),
        lambda: ("grey16.png", deep_png(deep(rng, height, width, 1), 0)),
        lambda: ("rgb16.png", deep_png(deep(rng, height, width, 3), 2)),
        lambda: ("grey_alpha16.png", deep_png(deep(rng, height, width, 2), 4)),
        lambda: ("rgba16.png", deep_png(deep(rng, height, width, 4), 6)),
        lambda: ("grey16_clear.png", deep_png(deep(rng, height, width, 1), 0, chunk(b"tRNS", b"\0\7"))),
        lambda: ("rgb_clear.png", png(rgb)[:33] + chunk(b"tRNS", b"\0\1\0\2\0\3") + png(rgb)[33:]),
    ]
    name, content = kinds[number % len(kinds)]()
    return f"{number:03}_{name}", content


@contextlib.contextmanager
def width_first() -> Iterator[None]:
    """Pillow as it was before version 13, and as Tutti is: always the width first."""
    from PIL import Image

    whole = Image.Image.resize

    def resize(self: Any, size: Any, *words: Any, **named: Any) -> Any:
        between = whole(self, (size[0], self.height), *words, **named)
        return whole(between, tuple(size), *words, **named)

    Image.Image.resize = resize
    try:
        yield
    finally:
        Image.Image.resize = whole


def scaled(plane: str, image: Any) -> tuple[int, int]:
    """Height and width of the image before it is cropped."""
    rule, height, width = plane.split(",")[:3]
    if rule == "exact":
        return int(height), int(width)
    shorter = min(image.size)
    return int(int(height) * image.height / shorter), int(int(height) * image.width / shorter)


class PicturesTest(ExportTest):
    """One folder of pictures; `compared` says how many planes differ from a function of Pillow's RGB image."""

    @classmethod
    def setUpClass(cls) -> None:
        import tempfile

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pictures = Path(folder.name)
        rng = random.Random(5)
        for number in range(COUNT):
            name, content = picture(number, rng)
            (cls.pictures / name).write_bytes(content)

    def planes(self, *planes: str, how: str = "plain", folder: Path | None = None) -> list[list[Any]]:
        """For every picture, in the order of their names, its planes as arrays of CHW."""
        import numpy

        shapes = []
        for plane in planes:
            height, width, crop_height, crop_width = (int(number) for number in plane.split(",")[1:5])
            shapes.append((3, crop_height or height, crop_width or width))
        where = folder or self.pictures
        out = subprocess.run([PLANES, where, how, *planes], check=True, capture_output=True).stdout
        found, at = [], 0
        for _ in sorted(where.iterdir()):
            found.append([])
            for shape in shapes:
                size = shape[0] * shape[1] * shape[2]
                found[-1].append(numpy.frombuffer(out, numpy.uint8, size, at).reshape(shape))
                at += size
        self.assertEqual(at, len(out))
        return found

    def rgb(self) -> list[tuple[str, Any]]:
        from PIL import Image

        return [(file.name, Image.open(file).convert("RGB")) for file in sorted(self.pictures.iterdir())]

    def differing(self, makers: list[Callable[[Any], Any]], planes: list[list[Any]]) -> list[list[tuple[str, Any, int]]]:
        """For every maker the pictures of whose plane it makes other bytes: name, image, largest difference."""
        import numpy

        found: list[list[tuple[str, Any, int]]] = [[] for _ in makers]
        for (name, image), made_planes in zip(self.rgb(), planes):
            for number, maker in enumerate(makers):
                wanted = numpy.asarray(maker(image))
                if wanted.shape[-1] == 3 and wanted.ndim == 3 and wanted.shape[0] != 3:
                    wanted = wanted.transpose(2, 0, 1)
                self.assertEqual(wanted.shape, made_planes[number].shape, name)
                far = int(numpy.abs(wanted.astype(int) - made_planes[number]).max())
                if far:
                    found[number].append((name, image, far))
        return found

    def compared(self, makers: dict[str, Callable[[Any], Any]]) -> None:
        """With the width first all bytes are equal; as this Pillow does it, those of all pictures but the ones that
        docs/images.md excepts: the height loses more than twice as many pixels as the width."""
        planes = self.planes(*makers)
        with width_first():
            first = self.differing(list(makers.values()), planes)
        for plane, rows in zip(makers, first):
            self.assertEqual([(name, far) for name, _, far in rows], [], plane)
        for plane, rows in zip(makers, self.differing(list(makers.values()), planes)):
            for name, image, _ in rows:
                height, width = scaled(plane, image)
                self.assertGreater(image.height - height, 2 * (image.width - width), (plane, name, image.size))


class Torchvision(PicturesTest):
    def test_the_planes_of_one_decode_are_those_of_its_transforms(self) -> None:
        from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

        cubic, linear, nearest = InterpolationMode.BICUBIC, InterpolationMode.BILINEAR, InterpolationMode.NEAREST
        self.compared({
            "shorter,64,64,64,64,bicubic,half_even": Compose([Resize(64, cubic), CenterCrop(64)]),
            "shorter,73,73,64,64,bilinear,half_even": Compose([Resize(73, linear), CenterCrop(64)]),
            "shorter,64,64,49,58,bicubic,half_even": Compose([Resize(64, cubic), CenterCrop((49, 58))]),
            "exact,64,64,0,0,bilinear,half_even": Resize((64, 64), linear),
            "exact,50,90,0,0,bicubic,half_even": Resize((50, 90), cubic),
            "exact,75,90,40,43,bicubic,half_even": Compose([Resize((75, 90), cubic), CenterCrop((40, 43))]),
            "shorter,40,40,40,40,nearest,half_even": Compose([Resize(40, nearest), CenterCrop(40)]),
        })


class Transformers(PicturesTest):
    def processors(self, backend: str) -> dict[str, Callable[[Any], Any]]:
        import transformers
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
        from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

        plain = {"do_normalize": False, "do_rescale": False}
        clip = {"pil": CLIPImageProcessorPil, "torchvision": transformers.CLIPImageProcessor}[backend]
        vit = {"pil": ViTImageProcessorPil, "torchvision": transformers.ViTImageProcessor}[backend]
        rows = {
            "shorter,64,64,64,64,bicubic,floor": clip(size={"shortest_edge": 64},
                                                      crop_size={"height": 64, "width": 64}, **plain),
            "shorter,73,73,64,50,bicubic,floor": clip(size={"shortest_edge": 73},
                                                      crop_size={"height": 64, "width": 50}, **plain),
            "exact,64,64,0,0,bilinear,half_even": vit(size={"height": 64, "width": 64}, **plain),
        }
        return {plane: (lambda image, made=made: made(image, return_tensors="np")["pixel_values"][0])
                for plane, made in rows.items()}

    def test_the_planes_are_those_of_its_processors_over_pillow(self) -> None:
        self.compared(self.processors("pil"))

    def test_its_processors_over_torchvision_are_close(self) -> None:
        makers = self.processors("torchvision")
        planes = self.planes(*makers)
        for plane, rows in zip(makers, self.differing(list(makers.values()), planes)):
            self.assertLessEqual(max((far for _, _, far in rows), default=0), 2, plane)


class Decoding(PicturesTest):
    def test_a_reduced_decode_is_close(self) -> None:
        import numpy

        plane = "shorter,64,64,64,64,bicubic,half_even"
        full, reduced = self.planes(plane), self.planes(plane, how="reduce")
        far = [int(numpy.abs(a[0].astype(int) - b[0]).max()) for a, b in zip(full, reduced)]
        self.assertGreater(max(far), 0)
        self.assertLessEqual(max(far), 32)

    def test_orientations_are_those_of_exif_transpose(self) -> None:
        import numpy
        from PIL import Image, ImageOps

        rng = random.Random(9)
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            for form in ("JPEG", "PNG", "WEBP", "TIFF"):
                name = self.folder / f"{orientation}.{form.lower().replace('jpeg', 'jpg')}"
                more = {"lossless": True} if form == "WEBP" else {}
                Image.fromarray(made(rng, 40, 71, 3)).save(name, form, exif=exif, **more)
        plane = "shorter,40,40,25,25,bicubic,half_even"
        for how in ("plain", "turn"):
            for file, planes in zip(sorted(self.folder.iterdir()), self.planes(plane, how=how, folder=self.folder)):
                image = Image.open(file)
                image = ImageOps.exif_transpose(image) if how == "turn" else image
                height, width = scaled(plane, image)
                left, top = round((width - 25) / 2), round((height - 25) / 2)
                image = image.convert("RGB").resize((width, image.height), Image.Resampling.BICUBIC)
                image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + 25, top + 25))
                self.assertTrue((numpy.asarray(image).transpose(2, 0, 1) == planes[0]).all(), (how, file.name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--planes", required=True)
    known, rest = parser.parse_known_args()
    PLANES = known.planes
    sys.argv[1:] = rest
    run_tests("PIL", "torch", "torchvision", "transformers")
