"""Writes python.safetensors, the fixture that shows that files of Python's safetensors can be read here.

Run with numpy and safetensors installed:  python make_safetensors.py
"""

import pathlib

import numpy
from safetensors.numpy import save_file

save_file(
    {
        "fc.weight": numpy.arange(6, dtype="float32").reshape(2, 3) / 4,
        "fc.bias": numpy.array([-1.5, 2.5], dtype="float64"),
        "steps": numpy.array(7, dtype="int64"),
        "mask": numpy.array([True, False, True]),
        "half": numpy.array([1.0], dtype="float16"),
        "nothing": numpy.zeros((0, 4), dtype="uint8"),
    },
    pathlib.Path(__file__).parent / "python.safetensors",
    metadata={"made by": "Python"},
)
