"""Writes digits.bin from the copy of the data set that scikit-learn ships. See README.md for the layout.

Run with scikit-learn installed:  python make_digits.py
"""

import pathlib
import struct

from sklearn.datasets import load_digits

digits = load_digits()
with open(pathlib.Path(__file__).parent / "digits.bin", "wb") as out:
    out.write(b"TUTTIDG1")
    out.write(struct.pack("<I", len(digits.target)))
    for image, label in zip(digits.images, digits.target):
        out.write(image.astype("uint8").tobytes())
        out.write(bytes([label]))
