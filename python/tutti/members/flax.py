"""Modules of Flax (linen), and other functions of JAX."""

import importlib
import os

from . import channels_last as turned


def module(make, arguments=None, weights=None, channels_last=True):
    """Calls `make`, such as `my_nets:Net`, with `arguments`: it returns a flax.linen module. Its variables are in `weights`, as
    flax.serialization.to_bytes() writes them. Images are turned to height, width, channels, as Flax's convolutions take
    them, unless `channels_last` is false."""
    from flax import serialization

    name, _, function = make.rpartition(":")
    if not name:
        raise ValueError(f"'make' must be a module and a class or function, such as my_nets:Net, not '{make}'")
    if weights is None or not os.path.isfile(weights):
        raise FileNotFoundError(f"there is no file '{weights}' with the variables; relative paths start at the current folder")
    built = getattr(importlib.import_module(name), function)(**(arguments or {}))
    with open(weights, "rb") as file:
        variables = serialization.msgpack_restore(file.read())
    return wrap(lambda *samples: built.apply(variables, *samples), channels_last)


def wrap(function, channels_last=False):
    """A function of a batch for one that takes and returns arrays of JAX. It is compiled by jax.jit, once for each size of
    batch. The samples are copied: JAX may keep them."""
    import jax

    compiled = jax.jit(function)

    def predict(*samples):
        arrays = [turned(array) if channels_last and array.ndim == 4 else array for array in samples]
        return compiled(*(jax.numpy.array(array) for array in arrays))

    return predict
