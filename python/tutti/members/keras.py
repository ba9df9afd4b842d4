"""Models of Keras 3, computed by TensorFlow, JAX or PyTorch."""

import os

from . import channels_last, threads


def load(path, backend=None):
    """The model that model.save() wrote to `path` (.keras). `backend`: tensorflow, jax or torch, in place of what
    KERAS_BACKEND or the user's keras.json says. Images are turned to height, width, channels if the model takes them so."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file '{path}'; relative paths start at the current folder")
    if backend is not None:
        os.environ["KERAS_BACKEND"] = backend  # read when keras is imported
    limit_tensorflow_before_it_starts(backend)
    import keras

    if backend not in (None, keras.backend.backend()):
        raise ValueError(f"another member of this worker uses Keras with {keras.backend.backend()}, and this one wants "
                         f"{backend}: give it a worker of its own")
    return wrap(keras.saving.load_model(path, compile=False))


def limit_tensorflow_before_it_starts(backend):
    if (backend or os.environ.get("KERAS_BACKEND", "tensorflow")) != "tensorflow":
        return
    import tensorflow

    if tensorflow.config.threading.get_intra_op_parallelism_threads() != threads():
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads())
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)


def wrap(model):
    """A function of a batch for a model that is there already. Several inputs come in the order of `model.inputs`."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads())
    shapes = [tuple(one.shape[1:]) for one in model.inputs]

    def predict(*samples):
        if len(samples) != len(shapes):
            raise ValueError(f"the model takes {len(shapes)} inputs, and there are {len(samples)}")
        inputs = [fitting(array, shape) for array, shape in zip(samples, shapes)]
        return model.predict_on_batch(inputs[0] if len(inputs) == 1 else inputs)

    return predict


def fitting(array, shape):
    """The samples as an input of this shape takes them. Square images of as many channels as rows fit both ways: Keras has
    the channels last as a rule."""
    turned = channels_last(array) if array.ndim == 4 else array
    for candidate in (turned, array):
        if len(shape) == candidate.ndim - 1 and all(
                wanted in (None, size) for wanted, size in zip(shape, candidate.shape[1:])):
            return candidate
    raise ValueError(f"the model takes {'x'.join(str(size or 'any') for size in shape) or 'numbers'} for each sample, and "
                     f"the samples are {'x'.join(map(str, array.shape[1:]))}")
