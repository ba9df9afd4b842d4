"""Image sets as Hugging Face ships them: parquet files with a column of {bytes, path} and a column of labels, whose
names are in the schema's metadata. Reads them; writes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from . import hub
from .errors import ExportError, first_line, need
from .files import refuse_lfs_pointer

BATCH_ROWS = 256  # at a time in memory


@dataclass(frozen=True)
class Columns:
    image: str
    label: str  # empty: the set has no labels
    classes: tuple[str, ...]  # in label order; empty: not known


def files_of(source: str, split: str = "") -> list[Path]:
    """The parquet files of `source`: a file, a folder (searched recursively), or hf:datasets/owner/name.

    `split` keeps those of a folder whose name begins with it ("test" keeps test-00000-of-00001.parquet). Raises
    ExportError if there are none."""
    path = hub.resolve(source)
    if path.is_file():
        return [path]
    found = sorted(path.rglob("*.parquet"))
    if not found:
        raise ExportError(f"there is no parquet file in '{source}'")
    # Hugging Face writes either data/test-00000-of-00001.parquet or test/0000.parquet.
    kept = [file for file in found if not split or file.name.startswith(f"{split}-") or file.stem == split
            or split in file.relative_to(path).parent.parts]
    if not kept:
        raise ExportError(f"no parquet file in '{source}' belongs to the split '{split}'",
                          detail=f"there are {', '.join(file.name for file in found[:8])}")
    return kept


def open_file(file: Path) -> Any:
    """pyarrow's ParquetFile. Raises ExportError naming the file."""
    parquet = need("pyarrow.parquet", "reading parquet files")
    refuse_lfs_pointer(file)
    try:
        return parquet.ParquetFile(file)
    except Exception as error:  # pyarrow has many, of several base classes
        raise ExportError(f"cannot read '{file}' as a parquet file: {first_line(error)}") from None


def features_of(schema: Any, file: Path) -> dict[str, Any]:
    """The columns' metadata from the `datasets` library; empty if it did not write the file."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        return dict(json.loads(text)["info"]["features"])
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"cannot read the metadata 'huggingface' of '{file}': {first_line(error)}") from None


def _is_image(field: Any) -> bool:
    types = need("pyarrow.types", "reading parquet files")
    return types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0


def _chosen(wanted: str, found: list[str], schema: Any, what: str, option: str, file: Path) -> str:
    """`wanted` if it is given, else the only one that was found; "" if there is none."""
    if wanted:
        if wanted not in schema.names:
            raise ExportError(f"'{file}' has no column '{wanted}'; it has {', '.join(schema.names)}")
        return wanted
    if len(found) > 1:
        raise ExportError(f"'{file}' has several columns of {what}: {', '.join(found)}",
                          hint=f"choose one with {option}")
    return found[0] if found else ""


def columns_of(file: Path, image: str = "", label: str = "") -> Columns:
    """The columns of images and labels, and the labels' names. Raises ExportError that lists the columns."""
    schema = open_file(file).schema_arrow
    features = features_of(schema, file)
    images = [field.name for field in schema if _is_image(field)]
    labels = [name for name, feature in features.items()
              if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and name in schema.names]
    if not labels and "label" in schema.names:
        labels = ["label"]
    image = _chosen(image, images, schema, "images", "--image-column", file)
    label = _chosen(label, labels, schema, "labels", "--label-column", file)
    if not image or not _is_image(schema.field(image)):
        raise ExportError(f"'{file}' has no column of images, which are {{bytes, path}}",
                          detail=f"its columns are {', '.join(f'{field.name}: {field.type}' for field in schema)}"[:400])
    names = features.get(label, {}).get("names", []) if label else []
    return Columns(image, label, tuple(names))


def class_names_of(source: str) -> list[str]:
    """The label names of an image set. Raises ExportError if it has none."""
    file = files_of(source)[0]
    columns = columns_of_labels(file)
    if not columns:
        raise ExportError(f"'{file}' has no class names in its metadata",
                          hint="write them to a file, one per line in label order, and name it with --classes")
    return columns


def columns_of_labels(file: Path) -> list[str]:
    """The names of the one ClassLabel column of a parquet file, if it has one."""
    features = features_of(open_file(file).schema_arrow, file)
    labels = {name: feature["names"] for name, feature in features.items()
              if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and "names" in feature}
    if len(labels) > 1:
        labels = {name: names for name, names in labels.items() if name == "label"} or labels
    if len(labels) > 1:
        raise ExportError(f"'{file}' has several columns of labels: {', '.join(labels)}",
                          hint="write the class names to a file and name it with --classes")
    return list(next(iter(labels.values()), []))


def rows_of(file: Path, columns: Columns) -> Iterator[tuple[bytes | None, Any]]:
    """Bytes of the image (None if the row has none) and label of each row, a few hundred rows in memory at a time."""
    wanted = [columns.image, *([columns.label] if columns.label else [])]
    try:
        for batch in open_file(file).iter_batches(batch_size=BATCH_ROWS, columns=wanted):
            images = batch.column(columns.image).to_pylist()
            labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(images)
            for image, label in zip(images, labels):
                yield (image or {}).get("bytes"), label
    except OSError as error:  # pyarrow raises it for damaged pages
        raise ExportError(f"could not read all of '{file}': {first_line(error)}") from None
