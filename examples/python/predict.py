"""An ensemble from Python: two members that take 20 and 30 ms for a batch need about 30 ms together, since each has its
own process. They are `fake` members, which compute without LibTorch."""

import time

import numpy
import tutti

DESCRIPTION = {
    "members": [{"name": "quick", "model": {"kind": "fake", "classes": 3, "delay_ms": 20}},
                {"name": "slow", "model": {"kind": "fake", "classes": 3, "delay_ms": 30}}],
    "assignment": "cpu",
    "input": {"shape": [3, 32, 32]},
    "segment_images": 16,
    "batch_images": 16,
}


def main() -> None:
    images = numpy.random.default_rng(1).random((16, 3, 32, 32), dtype=numpy.float32)
    with tutti.Ensemble(DESCRIPTION) as ensemble:
        start = time.perf_counter()
        p = ensemble.predict(images)
        print(f"{len(p)} images, {p.values.shape[1]} classes, {time.perf_counter() - start:.2f} s")

        futures = [ensemble.submit(images[first:first + 4]) for first in range(0, 16, 4)]
        same = numpy.concatenate([future.result().predicted for future in futures])
        print("the same classes from four futures:", bool((same == p.predicted).all()))

        batches = (images for _ in range(5))
        print("images of a stream:", sum(len(rows) for rows in ensemble.map(batches)))


if __name__ == "__main__":
    main()
