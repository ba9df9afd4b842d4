"""Tests of `tutti.export dataset`, and of class names from parquet files. Need pyarrow."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from support import ExportTest, run_tests

PNG, JPEG, WEBP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP"
NAMES = ["tench", "a/b c", "no images"]


class Dataset(ExportTest):
    def parquet(self, rows: list[tuple[bytes | None, Any]], name: str = "test-00000-of-00001.parquet",
                names: list[str] | None = NAMES, label: str = "label", **more: Any) -> Path:
        """A file as Hugging Face's `datasets` writes it."""
        import pyarrow
        import pyarrow.parquet

        columns: dict[str, Any] = {"image": pyarrow.array(
            [None if image is None else {"bytes": image, "path": None} for image, _ in rows],
            type=pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))}
        features: dict[str, Any] = {"image": {"_type": "Image"}}
        if label:
            columns[label] = pyarrow.array([value for _, value in rows])
            features[label] = {"names": names, "_type": "ClassLabel"} if names else {"_type": "Value"}
        for column, (values, feature) in more.items():
            columns[column], features[column] = pyarrow.array(values), feature
        table = pyarrow.table(columns)
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, file)
        return file

    def files(self, folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}

    def test_images_go_into_a_folder_per_class_byte_by_byte(self) -> None:
        file = self.parquet([(PNG + b"1", 1), (JPEG + b"2", 0), (PNG + b"3", 1)])
        out = self.exported("dataset", file, "--output", self.folder / "out")
        self.assertIn("3 images in 3 classes; 3 written, 0 already there", out)
        self.assertEqual(self.files(self.folder / "out"), {
            "000-tench/00000001.jpg": JPEG + b"2", "001-a_b_c/00000000.png": PNG + b"1",
            "001-a_b_c/00000002.png": PNG + b"3"})

    def test_pictures_with_an_orientation_are_written_turned(self) -> None:
        import io

        import numpy
        from PIL import Image, ImageOps

        pixels = numpy.random.default_rng(3).integers(0, 256, (5, 9, 3)).astype(numpy.uint8)
        pictures = []
        for form, orientation in (("PNG", 6), ("JPEG", 8), ("JPEG", 1)):
            exif = Image.Exif()
            exif[0x0112] = orientation
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, form, exif=exif)
            pictures.append(out.getvalue())
        told = self.exported("dataset", self.parquet([(image, 0) for image in pictures]), "--output", self.folder / "out")
        self.assertIn("2 images had an EXIF orientation and are written as PNG, turned", told)
        files = self.files(self.folder / "out")
        self.assertEqual(files["000-tench/00000002.jpg"], pictures[2])
        for number in (0, 1):
            found = Image.open(io.BytesIO(files[f"000-tench/0000000{number}.png"]))
            wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(pictures[number])))
            self.assertEqual(found.size, (5, 9))
            self.assertEqual(found.convert("RGB").tobytes(), wanted.convert("RGB").tobytes())
            self.assertEqual(found.getexif().get(0x0112, 1), 1)
        again = self.exported("dataset", self.parquet([(image, 0) for image in pictures]), "--output", self.folder / "out")
        self.assertIn("0 written, 3 already there", again)

    def test_a_class_without_images_has_its_folder_so_that_labels_keep_their_order(self) -> None:
        self.exported("dataset", self.parquet([(PNG, 0)]), "--output", self.folder / "out")
        self.assertEqual(sorted(entry.name for entry in (self.folder / "out").iterdir()),
                         ["000-tench", "001-a_b_c", "002-no_images"])

    def test_names_that_sort_otherwise_keep_the_order_of_the_labels(self) -> None:
        names = [f"{letter}{number}" for number in range(600) for letter in "zy"]
        self.exported("dataset", self.parquet([(PNG, 1199)], names=names), "--output", self.folder / "out")
        folders = sorted(entry.name for entry in (self.folder / "out").iterdir())
        self.assertEqual([name.split("-")[1] for name in folders], names)

    def test_an_interrupted_export_goes_on(self) -> None:
        file = self.parquet([(PNG + bytes([number]), 0) for number in range(5)])
        self.exported("dataset", file, "--output", self.folder / "out", "--limit", 3)
        (self.folder / "out" / "000-tench" / "00000001.png").write_bytes(b"half")
        out = self.exported("dataset", file, "--output", self.folder / "out")
        self.assertIn("5 images in 3 classes; 3 written, 2 already there", out)
        self.assertEqual(self.files(self.folder / "out")["000-tench/00000001.png"], PNG + b"\1")

    def test_a_folder_of_files_is_one_set_and_a_split_chooses_from_it(self) -> None:
        self.parquet([(PNG + b"a", 0)], "set/data/test-00000-of-00002.parquet")
        self.parquet([(PNG + b"b", 0)], "set/data/test-00001-of-00002.parquet")
        self.parquet([(PNG + b"c", 0)], "set/data/train-00000-of-00001.parquet")
        self.parquet([(PNG + b"d", 0)], "set/valid/0000.parquet")
        found = {}
        for split in ("test", "train", "valid"):
            self.exported("dataset", self.folder / "set", "--split", split, "--output", self.folder / split)
            found[split] = sorted(self.files(self.folder / split).values())
        self.assertEqual(found, {"test": [PNG + b"a", PNG + b"b"], "train": [PNG + b"c"], "valid": [PNG + b"d"]})
        text = self.refused("dataset", self.folder / "set", "--split", "all", "--output", self.folder / "out")
        self.assertIn("no parquet file in", text)
        self.assertIn("there are test-00000-of-00002.parquet", text)

    def test_a_set_without_labels_is_written_flat(self) -> None:
        file = self.parquet([(PNG, None), (JPEG, None)], label="")
        text = self.refused("dataset", file, "--output", self.folder / "out")
        self.assertIn("has no labels", text)
        self.assertIn("--flat", text)
        self.exported("dataset", file, "--output", self.folder / "out", "--flat")
        self.assertEqual(list(self.files(self.folder / "out")), ["00000000.png", "00000001.jpg"])

    def test_formats_that_tutti_does_not_read_are_written_and_counted(self) -> None:
        out = self.exported("dataset", self.parquet([(b"GIF89a", 0), (WEBP, 0), (PNG, 0)]), "--output",
                            self.folder / "out")
        self.assertIn("warning: 1 image of type gif, which tutti does not read", out)
        self.assertNotIn("webp, which", out)
        self.assertIn("000-tench/00000000.gif", self.files(self.folder / "out"))
        self.assertIn("000-tench/00000001.webp", self.files(self.folder / "out"))

    def test_rows_that_are_not_images_are_named(self) -> None:
        for image, words in ((None, "has no bytes of an image"), (b"text", "is not an image: it begins with b'text'")):
            file = self.parquet([(PNG, 0), (image, 0)])
            text = self.refused("dataset", file, "--output", self.folder / "out")
            self.assertIn(f"row 1 of '{file}' {words}", text)

    def test_labels_outside_the_classes_are_named(self) -> None:
        for label in (3, -1, None):
            text = self.refused("dataset", self.parquet([(PNG, 0), (PNG, label)]), "--output", self.folder / "out")
            self.assertIn(f"has the label {label!r}, and the set has 3 classes", text)

    def test_several_columns_are_chosen_from(self) -> None:
        second = ([1, 0], {"names": ["x", "y"], "_type": "ClassLabel"})
        file = self.parquet([(PNG, 0), (PNG, 0)], label="coarse", fine=second)
        text = self.refused("dataset", file, "--output", self.folder / "out")
        self.assertIn("several columns of labels: coarse, fine", text)
        self.assertIn("--label-column", text)
        self.exported("dataset", file, "--output", self.folder / "out", "--label-column", "fine")
        self.assertEqual(list(self.files(self.folder / "out")), ["000-x/00000001.png", "001-y/00000000.png"])
        text = self.refused("dataset", file, "--output", self.folder / "out", "--label-column", "none")
        self.assertIn("has no column 'none'; it has image, coarse, fine", text)

    def test_files_that_hold_no_images_say_what_they_hold(self) -> None:
        import pyarrow
        import pyarrow.parquet

        file = self.folder / "a.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), file)
        text = self.refused("dataset", file, "--output", self.folder / "out")
        self.assertIn("has no column of images", text)
        self.assertIn("text: string", text)

    def test_class_names_must_be_known(self) -> None:
        file = self.parquet([(PNG, 0)], names=None)
        self.assertIn("has no class names", self.refused("dataset", file, "--output", self.folder / "out"))

    def test_files_of_different_sets_are_rejected(self) -> None:
        one, other = self.parquet([(PNG, 0)], "a.parquet"), self.parquet([(PNG, 0)], "b.parquet", ["x", "y", "z"])
        self.assertIn("they are not one set", self.refused("dataset", one, other, "--output", self.folder / "out"))

    def test_broken_files_are_named(self) -> None:
        file = self.write("a.parquet", "no parquet")
        self.assertIn("as a parquet file", self.refused("dataset", file, "--output", self.folder / "out"))
        whole = self.parquet([(PNG + bytes(9999), 0)], "c.parquet").read_bytes()
        broken = self.folder / "d.parquet"
        broken.write_bytes(whole[:8] + bytes(100) + whole[108:])
        self.assertIn("could not read all of", self.refused("dataset", broken, "--output", self.folder / "out"))

    def test_metadata_that_is_not_json_is_rejected(self) -> None:
        import pyarrow
        import pyarrow.parquet

        file = self.parquet([(PNG, 0)])
        table = pyarrow.parquet.read_table(file).replace_schema_metadata({"huggingface": "{"})
        pyarrow.parquet.write_table(table, file)
        self.assertIn("metadata 'huggingface' of", self.refused("dataset", file, "--output", self.folder / "out"))

    def test_nothing_to_write_is_an_error(self) -> None:
        self.assertIn("there are no images in", self.refused("dataset", self.parquet([]), "--output", self.folder / "o"))
        (self.folder / "none").mkdir()
        text = self.refused("dataset", self.folder / "none", "--output", self.folder / "out")
        self.assertIn("there is no parquet file in", text)

    def test_options_that_make_no_sense_are_rejected(self) -> None:
        file = self.parquet([(PNG, 0)])
        text = self.refused("dataset", file, "--output", self.folder / "out", "--limit", 0)
        self.assertIn("--limit must be at least 1", text)
        self.assertIn("is not a folder", self.refused("dataset", file, "--output", self.write("taken", "")))
        text = self.refused("dataset", "hf:datasets/owner/set", "--output", self.folder / "out")
        self.assertIn("hf download owner/set --repo-type dataset", text)

    def test_class_names_of_a_head_come_from_the_set(self) -> None:
        from tutti.export import errors, head, parquet_sets

        file = str(self.parquet([(PNG, 0)]))
        self.assertEqual(parquet_sets.class_names_of(file), NAMES)
        options = argparse.Namespace(task="sun397", classes=None, classes_from=file, templates=None)
        self.assertEqual(head.lists_of(options).classes, NAMES)
        fine = ([0], {"names": ["x", "y"], "_type": "ClassLabel"})
        both = self.parquet([(PNG, 0)], "both.parquet", fine=fine)
        self.assertEqual(parquet_sets.class_names_of(str(both)), NAMES)
        for file, words in ((self.parquet([(PNG, 0)], "n.parquet", names=None), "has no class names"),
                            (self.parquet([(PNG, 0)], "s.parquet", label="coarse", fine=fine), "several columns")):
            with self.assertRaises(errors.ExportError) as caught:
                parquet_sets.class_names_of(str(file))
            self.assertIn(words, str(caught.exception))
            self.assertIn("--classes", str(caught.exception))


if __name__ == "__main__":
    run_tests("pyarrow", "PIL", "numpy")
