"""Reads the arrays that Tutti writes, without NumPy."""

from __future__ import annotations

import array
import ast
import sys
from pathlib import Path


def read_npy(path: Path) -> array.array:
    """The values of a float32 array in their order; its shape does not matter here."""
    content = path.read_bytes()
    if content[:6] != b"\x93NUMPY":
        raise ValueError(f"{path} is not an .npy file")
    width = 2 if content[6] == 1 else 4
    begin = 8 + width
    end = begin + int.from_bytes(content[8:begin], "little")
    header = ast.literal_eval(content[begin:end].decode("latin-1"))
    if header["descr"] != "<f4":
        raise ValueError(f"{path} holds {header['descr']}, not float32")
    values = array.array("f")
    values.frombytes(content[end:])
    if sys.byteorder != "little":
        values.byteswap()
    return values


def largest_difference(a: array.array, b: array.array) -> float:
    """Infinite if the lengths differ or a difference is not a number."""
    if len(a) != len(b):
        return float("inf")
    largest = 0.0
    for x, y in zip(a, b):
        difference = abs(x - y)
        if not difference <= largest:
            largest = difference if difference == difference else float("inf")
    return largest


def largest_value(values: array.array) -> float:
    return max((abs(value) for value in values), default=0.0)
