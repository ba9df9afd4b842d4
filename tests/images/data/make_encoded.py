"""Writes the images of tests/images/codecs_test.cpp, and next to each the result of Pillow's convert("RGB").

Needs Pillow and NumPy; run it again only where images are added.
"""

import pathlib
import struct
import zlib

import numpy
from PIL import Image

FOLDER = pathlib.Path(__file__).parent / "encoded"
HEIGHT, WIDTH = 21, 33


def picture(channels):
    """Smooth, so that a JPEG of it is close to it, and different in every channel and corner."""
    y, x = numpy.indices((HEIGHT, WIDTH))
    planes = [(x * (3 + c) + y * (7 - 2 * c) + 40 * c) % 256 for c in range(channels)]
    return numpy.stack(planes, axis=2).astype(numpy.uint8)


def save(image, name, **options):
    path = FOLDER / name
    image.save(path, **options)
    rgb = numpy.asarray(Image.open(path).convert("RGB"))
    path.with_suffix(path.suffix + ".rgb").write_bytes(rgb.tobytes())


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def save_png(name, depth, colour, interlaced, rows):
    """For what Pillow reads but does not write."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path = FOLDER / name
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def interlaced_rows(pixels):
    for y0, x0, dy, dx in [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
                           (1, 0, 2, 1)]:
        for row in pixels[y0::dy, x0::dx]:
            if row.size:
                yield row.tobytes()


FOLDER.mkdir(exist_ok=True)
rgb = Image.fromarray(picture(3))
save(rgb, "plain.jpg", quality=90)
save(rgb, "full_colour.jpg", quality=90, subsampling=0)
save(rgb, "progressive.jpg", quality=90, progressive=True)
save(Image.fromarray(picture(1)[:, :, 0]), "grey.jpg", quality=90)
save(Image.fromarray(picture(4), "CMYK"), "cmyk.jpg", quality=90)
turned = Image.Exif()
turned[0x0112] = 6  # to be shown turned by 90 degrees
save(rgb, "turned.jpg", quality=90, exif=turned)
save(rgb, "plain.png")
save(Image.fromarray(picture(4)), "alpha.png")
save(Image.fromarray(picture(1)[:, :, 0]), "grey.png")
save(Image.fromarray(picture(2), "LA"), "grey_alpha.png")
save(rgb.quantize(17), "palette.png", transparency=3)
save(Image.fromarray(picture(1)[:, :, 0]).convert("1"), "bits.png")
path = save_png("interlaced.png", 8, 2, 1, interlaced_rows(picture(3)))
(FOLDER / "interlaced.png.rgb").write_bytes(numpy.asarray(Image.open(path).convert("RGB")).tobytes())
wide = picture(3).astype(">u2") * 256 + 77
path = save_png("sixteen.png", 16, 2, 0, [row.tobytes() for row in wide])
(FOLDER / "sixteen.png.rgb").write_bytes(numpy.asarray(Image.open(path).convert("RGB")).tobytes())

save(rgb, "plain.webp", quality=90)
save(rgb, "lossless.webp", lossless=True)
save(Image.fromarray(picture(4)), "alpha.webp", lossless=True, exact=True)
rgb.save(FOLDER.parent / "animated.webp", save_all=True, append_images=[rgb.rotate(180)])
save(rgb, "plain.tif")
save(rgb, "lzw.tif", compression="tiff_lzw")
save(rgb, "deflate.tiff", compression="tiff_adobe_deflate", tiffinfo={317: 2})
save(Image.fromarray(picture(4)), "alpha.tif", compression="tiff_lzw")
save(Image.fromarray(picture(1)[:, :, 0]), "grey.tif")
save(rgb.quantize(17), "palette.tif")
save(Image.fromarray(picture(1)[:, :, 0]).convert("1"), "fax.tif", compression="group4")
save(Image.fromarray(picture(4), "CMYK"), "cmyk.tif")
rgb.save(FOLDER / "pages.tif", save_all=True, append_images=[rgb.rotate(180)])
(FOLDER / "pages.tif.rgb").write_bytes(rgb.tobytes())
save(rgb, "plain.bmp")
save(Image.fromarray(picture(1)[:, :, 0]), "grey.bmp")
save(rgb.quantize(17), "palette.bmp")
save(Image.fromarray(picture(1)[:, :, 0]).convert("1"), "bits.bmp")
save(Image.fromarray(picture(4)), "alpha.bmp")

# Decoded at an eighth, its sides are rounded up to 18x16, of which the proportions are others.
ramp = numpy.tile(numpy.linspace(0, 255, 141).astype(numpy.uint8)[None, :, None], (127, 1, 3))
path = FOLDER.parent / "ramp.jpg"
Image.fromarray(ramp).save(path, quality=98)
(FOLDER.parent / "ramp_8x8.rgb").write_bytes(
    numpy.asarray(Image.open(path).convert("RGB").resize((8, 8), Image.Resampling.BICUBIC)).tobytes())
