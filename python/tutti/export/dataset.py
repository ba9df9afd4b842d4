"""Turns a local image set in parquet files, the form in which Hugging Face ships them, into a folder with a sub-folder
per class. The bytes of the images are written as they are, except for those with an EXIF orientation: Hugging Face's
`datasets` turns these when it decodes them, so they are written as PNG, turned.

Sub-folders are called 000-name, 001-name, ..., so that a reader that sorts them gets the labels in the set's order.
There is one for every class, even for those without images. An interrupted run continues when it is started again: an
image that already has its full length is not written again.
"""

from __future__ import annotations

import argparse
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ExportError, counted, first_line, need
from .files import written_whole
from .parquet_sets import Columns, columns_of, files_of, rows_of

SUMMARY = "parquet image sets into folders with class sub-folders"
READ_BY_TUTTI = ("jpg", "png", "webp", "tiff", "bmp")
# (offset, bytes, extension)
MAGIC = ((0, b"\xff\xd8\xff", "jpg"), (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"GIF8", "gif"), (0, b"BM", "bmp"),
         (8, b"WEBP", "webp"), (0, b"II*\0", "tiff"), (0, b"MM\0*", "tiff"))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", metavar="PARQUET",
                        help="files, folders of them, or hf:datasets/owner/name; all of one set")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--split", default="", help="of a folder, only the files of this split, for example test")
    parser.add_argument("--image-column", default="", metavar="NAME", help="if there are several")
    parser.add_argument("--label-column", default="", metavar="NAME", help="if there are several")
    parser.add_argument("--flat", action="store_true", help="no sub-folders, and no labels")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N images")


@dataclass
class Count:
    """What happened to the rows."""

    written: int = 0
    there_already: int = 0
    turned: int = 0
    unread_by_tutti: dict[str, int] = field(default_factory=dict)

    @property
    def images(self) -> int:
        return self.written + self.there_already


def extension_of(image: bytes) -> str:
    """The extension for the first bytes; "" for an unknown format."""
    return next((name for offset, magic, name in MAGIC if image[offset:offset + len(magic)] == magic), "")


def turned(image: bytes, where: str) -> bytes:
    """The picture as a PNG, turned as its EXIF orientation says; b"" if it has none."""
    if not any(mark in image for mark in (b"Exif\0\0", b"eXIf", b"EXIF", b"Raw profile type exif")):
        return b""
    need("PIL", "turning pictures that have an EXIF orientation")
    from PIL import Image, ImageOps
    try:
        picture = Image.open(io.BytesIO(image))
        if picture.getexif().get(0x0112, 1) == 1:
            return b""
        upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow raises many types for a broken file
        raise ExportError(f"{where} cannot be decoded: {first_line(error)}") from None
    out = io.BytesIO()
    (upright if upright.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else upright.convert("RGB")).save(out, "PNG")
    return out.getvalue()


def sanitised(name: str) -> str:
    """A class name as a part of a file name: letters, digits, `.`, `-` and `_`; at most 80."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "class"


def folder_names(columns: Columns) -> list[str]:
    """The sub-folders of the classes, in label order; sorting them keeps it."""
    digits = max(3, len(str(len(columns.classes) - 1)))
    return [f"{label:0{digits}}-{sanitised(name)}" for label, name in enumerate(columns.classes)]


def folder_of(label: object, names: list[str], where: str) -> str:
    """The sub-folder of a row. Raises ExportError if its label has no class."""
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(names):
        raise ExportError(f"{where} has the label {label!r}, and the set has {counted(len(names), 'class')}",
                          hint="export a split without labels with --flat")
    return names[label]


def write_image(image: bytes, file: Path, count: Count) -> None:
    if file.is_file() and file.stat().st_size == len(image):
        count.there_already += 1
        return
    with written_whole(file) as partial:
        partial.write_bytes(image)
    count.written += 1


def export_file(source: Path, columns: Columns, options: argparse.Namespace, first: int, count: Count) -> int:
    """Writes the images of one parquet file; `first` is the number of its first row in the set. Returns the next."""
    names = [] if options.flat else folder_names(columns)
    number = first
    for image, label in rows_of(source, columns):
        if options.limit is not None and number >= options.limit:
            break
        where = f"row {number - first} of '{source}'"
        if not image:
            raise ExportError(f"{where} has no bytes of an image", hint="the set refers to other files; get these too")
        extension = extension_of(image)
        if not extension:
            raise ExportError(f"{where} is not an image: it begins with {image[:8]!r}")
        if extension not in READ_BY_TUTTI:
            count.unread_by_tutti[extension] = count.unread_by_tutti.get(extension, 0) + 1
        if upright := turned(image, where):
            image, extension, count.turned = upright, "png", count.turned + 1
        folder = options.output / folder_of(label, names, where) if names else options.output
        write_image(image, folder / f"{number:08}.{extension}", count)
        number += 1
    return number


def common_columns(files: list[Path], options: argparse.Namespace) -> Columns:
    """The columns of all files. Raises ExportError if they are not of one set, or have no classes."""
    columns = columns_of(files[0], options.image_column, options.label_column)
    for file in files[1:]:
        if columns_of(file, options.image_column, options.label_column) != columns:
            raise ExportError(f"'{file}' and '{files[0]}' differ in their columns or classes, so they are not one set")
    if not options.flat and not columns.classes:
        raise ExportError(f"'{files[0]}' has no class names" if columns.label else f"'{files[0]}' has no labels",
                          hint="--flat writes the images without labels")
    return columns


def run(options: argparse.Namespace) -> int:
    if options.limit is not None and options.limit < 1:
        raise ExportError(f"--limit must be at least 1, not {options.limit}")
    files = [file for source in options.sources for file in files_of(source, options.split)]
    columns = common_columns(files, options)
    if options.output.exists() and not options.output.is_dir():
        raise ExportError(f"'{options.output}' is not a folder")
    for name in [""] if options.flat else folder_names(columns):
        (options.output / name).mkdir(parents=True, exist_ok=True)
    count, number = Count(), 0
    for file in files:
        number = export_file(file, columns, options, number, count)
    if count.images == 0:
        raise ExportError(f"there are no images in {', '.join(map(str, files))}")
    classes = "without labels" if options.flat else f"in {counted(len(columns.classes), 'class')}"
    print(f"{options.output}: {counted(count.images, 'image')} {classes}; {count.written} written, {count.there_already} "
          "already there")
    if count.turned:
        print(f"{counted(count.turned, 'image')} had an EXIF orientation and {'is' if count.turned == 1 else 'are'} written "
              "as PNG, turned, as Hugging Face's datasets decodes them")
    for extension, images in sorted(count.unread_by_tutti.items()):
        print(f"warning: {counted(images, 'image')} of type {extension}, which tutti does not read")
    return 0
