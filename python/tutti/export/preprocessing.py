"""The `input:` of a member, read from the configuration of transformers' image processors. No images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .errors import ExportError, first_line
from .files import refuse_lfs_pointer

INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers

# The processors that only resize, crop, rescale and normalise, in this order, with the values of keys that a file may
# leave out: do_center_crop (None: it must be there, since versions of transformers differ) and resample.
PLAIN = {"CLIP": (True, 3), "ChineseCLIP": (True, 3), "Bit": (True, 3), "DeiT": (True, 3), "MobileNetV1": (True, 2),
         "MobileNetV2": (True, 2), "ViT": (False, 2), "Siglip": (False, 3), "Segformer": (False, 2), "Pvt": (False, 2),
         "Beit": (None, 3), "ConvNext": (False, 2)}
_CLASS = re.compile(r"^(\w+?)(ImageProcessor|FeatureExtractor)(Fast|Pil)?$")

# What has no meaning for an image of RGB that only a class is predicted for.
HARMLESS = {"do_convert_rgb", "do_reduce_labels"}
# Keys of other processors that change pixels without being called do_...
CHANGING = ("rescale_offset", "include_top", "keep_aspect_ratio", "size_divisor", "apply_ocr")


def found_in(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The file and the configuration of the image processor: that inside processor_config.json, which transformers 5
    writes and prefers, or preprocessor_config.json. None if the folder has neither. Raises ExportError."""
    for name, key in (("processor_config.json", "image_processor"), ("preprocessor_config.json", None)):
        file = folder / name
        if not file.exists():
            continue
        refuse_lfs_pointer(file)
        try:
            config = dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise ExportError(f"cannot read '{file}': {first_line(error)}") from None
        if key is None:
            return file, config
        if isinstance(config.get(key), dict):
            return file, config[key]
    return None


def read(folder: Path) -> dict[str, Any]:
    """{} if the folder has no image processor. Raises ExportError if Tutti does not support it."""
    found = found_in(folder)
    if found is None:
        return {}
    file, config = found
    try:
        return member_input(config)
    except ExportError as error:
        raise ExportError(f"'{file}': {error.message}", error.detail,
                          error.hint or "use --no-input to leave the preprocessing out of the member") from None


def _defaults(config: dict[str, Any]) -> tuple[bool | None, int]:
    """Of the processor's class. Raises ExportError if it is not known to be plain."""
    name = config.get("image_processor_type") or config.get("feature_extractor_type")
    if name is None:  # files of old versions
        return False, 2
    matched = _CLASS.match(str(name))
    if not matched or matched[1] not in PLAIN:
        raise ExportError(f"'image_processor_type' is {name}, which may do more than resize, crop, rescale and normalise",
                          hint="write the member's 'input' by hand, and leave it out here with --no-input")
    return PLAIN[matched[1]]


def _check_plain(config: dict[str, Any]) -> None:
    """Raises ExportError that names the key of a step that Tutti does not have."""
    if config.get("do_pad"):
        raise ExportError("'do_pad' is true, and Tutti does not pad")
    known = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_pad"} | HARMLESS
    for key, value in config.items():
        if value and (key in CHANGING or (key.startswith("do_") and key not in known)):
            raise ExportError(f"'{key}' is {json.dumps(value)}, and Tutti only resizes, crops, rescales and normalises")
    if config.get("do_rescale") is False:
        raise ExportError("'do_rescale' is false, and Tutti always divides by 255")


def _pair(size: Any, what: str) -> tuple[int, int]:
    """Height and width of {"height", "width"}, {"shortest_edge"} or a number."""
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    if isinstance(size, dict) and isinstance(size.get("shortest_edge"), int):
        return size["shortest_edge"], size["shortest_edge"]
    if isinstance(size, int):
        return size, size
    raise ExportError(f"'{what}' is {json.dumps(size)}, which is not a size that Tutti supports")


def _one_or_two(pair: tuple[int, int]) -> int | list[int]:
    return pair[0] if pair[0] == pair[1] else list(pair)


def _resize(config: dict[str, Any]) -> dict[str, Any]:
    """resize, rule, crop, crop_rounding."""
    size = config.get("size")
    pair = _pair(size, "size")
    shorter = isinstance(size, dict) and "shortest_edge" in size
    # A bare number of older files: the shorter side if a crop follows, else both.
    shorter = shorter or (isinstance(size, int) and bool(config.get("do_center_crop")))
    if config.get("crop_pct") is not None:  # ConvNeXt: below 384 the image is made larger first, and cropped
        edge = pair[0]
        if edge < 384:
            return {"resize": int(edge / config["crop_pct"]), "rule": "shorter", "crop": edge, "crop_rounding": "floor"}
        return {"resize": edge, "rule": "exact"}
    found: dict[str, Any] = {"resize": _one_or_two(pair), "rule": "shorter" if shorter else "exact"}
    if config.get("do_center_crop"):
        found["crop"] = _one_or_two(_pair(config.get("crop_size", size), "crop_size"))
        found["crop_rounding"] = "floor"  # as all processors of transformers crop
    return found


def member_input(config: dict[str, Any]) -> dict[str, Any]:
    """{resize, rule, crop, crop_rounding, interpolation, mean, std}, without the steps that the processor leaves out."""
    found: dict[str, Any] = {}
    center_crop, resample = _defaults(config)
    _check_plain(config)
    if config.get("do_center_crop") is None:
        if center_crop is None and config.get("do_resize", True):
            raise ExportError("'do_center_crop' is missing, and its default differs between versions of transformers")
        config = config | {"do_center_crop": bool(center_crop and config.get("do_resize", True))}
    if str(config.get("image_processor_type", "")).startswith("ConvNext") and config.get("crop_pct") is None:
        config = config | {"crop_pct": 224 / 256}
    if config.get("do_resize", True):
        if "size" not in config:
            raise ExportError("'size' is missing, and 'do_resize' is not false")
        number = config.get("resample", resample)
        if number not in INTERPOLATIONS:
            raise ExportError(f"'resample' is {number}, and Tutti supports 0 (nearest), 2 (bilinear) and 3 (bicubic)")
        found |= _resize(config) | {"interpolation": INTERPOLATIONS[number]}
    elif config.get("do_center_crop"):
        raise ExportError("'do_center_crop' without 'do_resize': Tutti crops only images that it has resized")
    if abs(config.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise ExportError(f"'rescale_factor' is {config['rescale_factor']}, and Tutti divides by 255")
    if config.get("do_normalize", True):
        for key in ("image_mean", "image_std"):
            if key not in config:
                raise ExportError(f"'{key}' is missing, and 'do_normalize' is not false")
        found |= {"mean": [float(value) for value in config["image_mean"]],
                  "std": [float(value) for value in config["image_std"]]}
    return found


def output_size(member_input: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of the model's images, if the resizing fixes them."""
    size = member_input.get("crop") or (member_input.get("resize") if member_input.get("rule") == "exact" else None)
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (size[0], size[1])
