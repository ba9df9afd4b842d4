"""Prints the figures that tests/results/sklearn_figures_test.cpp compares with.

    python -m venv v && v/bin/pip install scikit-learn && v/bin/python tests/results/data/sklearn_figures.py

The inputs come from a mixing function that the test has too, so neither stores them.
"""

import numpy as np
import sklearn
from sklearn import metrics


def mixed(numbers):
    """Numbers below 2^24 that look random, the same as in the test."""
    x = (np.asarray(numbers, dtype=np.uint64) * 2654435761) % 2**32
    x ^= x >> np.uint64(15)
    x = (x * 2246822519) % 2**32
    x ^= x >> np.uint64(13)
    return x >> np.uint64(8)


def unit(numbers):
    return (mixed(numbers) / np.float64(2**24)).astype(np.float32)


def show(name, value):
    print(name, np.array2string(np.asarray(value, dtype=np.float64), precision=17, separator=", "))


def masks():
    i = np.arange(3 * 63)
    labels = (mixed(i) % 4).astype(np.int64)
    predicted = np.where(mixed(i + 5000) % 3 == 0, mixed(i + 9000) % 3, labels).astype(np.int64)
    counts = mixed(i + 1000) % 8 != 0  # the others have the label 255, which is ignored
    y, p = labels[counts], predicted[counts]
    print("places", len(y))
    show("pixel accuracy", metrics.accuracy_score(y, p))
    show("iou", metrics.jaccard_score(y, p, labels=range(4), average=None))
    show("dice", metrics.f1_score(y, p, labels=range(4), average=None))
    print(metrics.confusion_matrix(y, p, labels=range(4)))


def values():
    i = np.arange(200 * 3).reshape(200, 3)
    offset = np.array([0, 100000, -2], dtype=np.float32)
    y = unit(i) * np.float32(8) + offset
    p = y + (unit(i + 7000) - np.float32(0.5))
    y, p = y.astype(np.float64), p.astype(np.float64)
    show("mean absolute error", metrics.mean_absolute_error(y, p))
    show("mean squared error", metrics.mean_squared_error(y, p))
    show("r2", metrics.r2_score(y, p))
    y[:, 1:] = 3
    p[:, 2] = 3
    show("r2 with equal labels", metrics.r2_score(y, p))


def labels():
    i = np.arange(300 * 4).reshape(300, 4)
    y = (unit(i) < np.array([0.1, 0.3, 0.5, 0.9], dtype=np.float32)).astype(np.int64)
    p = (mixed(i + 3000) % 12 + 4 * y) / 16  # with many ties
    at = p > 0.5
    show("accuracy", [metrics.accuracy_score(y[:, c], at[:, c]) for c in range(4)])
    show("f1", metrics.f1_score(y, at, average=None))
    show("macro f1", metrics.f1_score(y, at, average="macro"))
    show("micro f1", metrics.f1_score(y, at, average="micro"))
    show("average precision", metrics.average_precision_score(y, p, average=None))
    show("mean average precision", metrics.average_precision_score(y, p, average="macro"))


print("scikit-learn", sklearn.__version__)
masks()
values()
labels()
