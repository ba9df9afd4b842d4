"""The `input:` of a member, read from the preprocessor_config.json of transformers' image processors. No images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import ExportError, first_line

INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def read(folder: Path) -> dict[str, Any]:
    """{} if the folder has no preprocessor_config.json. Raises ExportError if Tutti does not support it."""
    file = folder / "preprocessor_config.json"
    if not file.exists():
        return {}
    try:
        config = dict(json.loads(file.read_text()))
    except (OSError, ValueError) as error:
        raise ExportError(f"cannot read '{file}': {first_line(error)}") from None
    try:
        return member_input(config)
    except ExportError as error:
        raise ExportError(f"'{file}': {error.message}", error.detail,
                          error.hint or "use --no-input to leave the preprocessing out of the member") from None


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
    if config.get("do_pad"):
        raise ExportError("'do_pad' is true, and Tutti does not pad")
    if config.get("do_resize", True) and "size" in config:
        number = config.get("resample", 2)
        if number not in INTERPOLATIONS:
            raise ExportError(f"'resample' is {number}, and Tutti supports 0 (nearest), 2 (bilinear) and 3 (bicubic)")
        found |= _resize(config) | {"interpolation": INTERPOLATIONS[number]}
    elif config.get("do_center_crop"):
        raise ExportError("'do_center_crop' without 'do_resize': Tutti crops only images that it has resized")
    if config.get("do_rescale", True) and abs(config.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise ExportError(f"'rescale_factor' is {config['rescale_factor']}, and Tutti divides by 255")
    if config.get("do_normalize", True) and "image_mean" in config:
        found |= {"mean": [float(value) for value in config["image_mean"]],
                  "std": [float(value) for value in config["image_std"]]}
    return found


def output_size(member_input: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of the model's images, if the resizing fixes them."""
    size = member_input.get("crop") or (member_input.get("resize") if member_input.get("rule") == "exact" else None)
    if size is None:
        return None
    return (size, size) if isinstance(size, int) else (size[0], size[1])
