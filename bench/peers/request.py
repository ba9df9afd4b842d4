"""What every contestant computes: images, members, segments. Used by all contestants, but not by the tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np


@dataclass(frozen=True)
class Request:
    data: Path
    image_count: int
    members: int
    segment: int
    threads: int  # within an operation
    classes: int = 10

    def images(self) -> np.ndarray:
        """float32 [images, 3, 32, 32]; a file's mapping, to be copied if it must be in memory."""
        shape = (self.image_count, 3, 32, 32)
        return np.memmap(self.data / "images.f32", dtype=np.float32, mode="r", shape=shape)

    def labels(self) -> np.ndarray:
        return np.fromfile(self.data / "labels.i64", dtype=np.int64, count=self.image_count)

    def segments(self, count: int) -> Iterator[tuple[int, int]]:
        """Begin and end of each segment of the first `count` images."""
        for begin in range(0, count, self.segment):
            yield begin, min(begin + self.segment, count)
