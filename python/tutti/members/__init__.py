"""Ready-made factories for members of kind `python`: `factory: tutti.members.sklearn:load` and so on. They run in the
worker, with the packages of the member's own environment; docs/python-members.md describes them."""

import os


def threads():
    """How many threads the worker may compute with: `threads` of the description, or its share of the cores."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


def channels_last(images):
    """[n, channels, height, width] as a view [n, height, width, channels]."""
    return images.transpose(0, 2, 3, 1)
