"""Writes the .npy fixtures that show that arrays of NumPy can be read here.

Run with numpy installed:  python make_npy.py
"""

import pathlib

import numpy
from numpy.lib import format as npy_format

HERE = pathlib.Path(__file__).parent
nchw = numpy.arange(3 * 2 * 2 * 3, dtype="float32").reshape(3, 2, 2, 3)
numpy.save(HERE / "nchw_float32.npy", nchw)
numpy.save(HERE / "nhwc_float32.npy", numpy.ascontiguousarray(nchw.transpose(0, 2, 3, 1)))
numpy.save(HERE / "nhwc_uint8.npy", numpy.ascontiguousarray(nchw.astype("uint8").transpose(0, 2, 3, 1)) * 7)
with open(HERE / "version_2.npy", "wb") as out:
    npy_format.write_array(out, nchw, version=(2, 0))
with open(HERE / "version_3.npy", "wb") as out:
    npy_format.write_array(out, nchw, version=(3, 0))
numpy.save(HERE / "fortran.npy", numpy.asfortranarray(nchw))
numpy.save(HERE / "big_endian.npy", nchw.astype(">f4"))
numpy.save(HERE / "float64.npy", nchw.astype("float64"))
numpy.save(HERE / "rank_3.npy", nchw[:, 0])
numpy.save(HERE / "no_images.npy", nchw[:0])
for dtype in ("int64", "int32", "uint8"):
    numpy.save(HERE / f"labels_{dtype}.npy", numpy.array([2, 0, 4], dtype=dtype))
numpy.save(HERE / "labels_two.npy", numpy.array([2, 0]))
numpy.save(HERE / "labels_negative.npy", numpy.array([2, -1, 4]))
numpy.save(HERE / "labels_rank_2.npy", numpy.array([[2], [0], [4]]))
numpy.save(HERE / "labels_none.npy", numpy.zeros(0, dtype="int64"))

# The arrays of a sample in archives: stored and compressed.
image = numpy.arange(3 * 3 * 2 * 2, dtype="uint8").reshape(3, 3, 2, 2)
table = numpy.arange(3 * 4, dtype="float32").reshape(3, 4) / 8
ids = numpy.array([5, 0, -3], dtype="int64")
numpy.savez(HERE / "samples.npz", image=image, table=table, ids=ids, labels=numpy.array([2, 0, 4]))
numpy.savez_compressed(HERE / "compressed.npz", image=image, table=table, ids=ids, labels=numpy.array([2, 0, 4]))
numpy.savez(HERE / "only_labels.npz", labels=numpy.array([2, 0, 4]))
