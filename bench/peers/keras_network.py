"""small-cnn in Keras, with the same weights; images are NHWC, as TensorFlow has them on CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from safetensors.numpy import load_file

from request import Request



def set_threads(within: int, between: int) -> None:
    """Call it before TensorFlow's first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(within)
    tf.config.threading.set_inter_op_parallelism_threads(between)


def make_member(classes: int) -> keras.Model:
    """Images [n, 32, 32, 3] to logits."""
    return keras.Sequential([
        keras.Input((32, 32, 3)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(classes),
    ])


def keras_weights(file: Path) -> list[np.ndarray]:
    """Loads a safetensors file with PyTorch's names and orders; the flattened features are h, w, c here."""
    named = load_file(file)
    result = []
    for layer in ("conv1", "conv2", "conv3"):
        result += [named[f"{layer}.weight"].transpose(2, 3, 1, 0), named[f"{layer}.bias"]]
    dense = named["fc1.weight"].reshape(64, 64, 4, 4).transpose(2, 3, 1, 0).reshape(1024, 64)
    return result + [dense, named["fc1.bias"], named["fc2.weight"].T, named["fc2.bias"]]


def load_member(job: Request, member: int) -> keras.Model:
    """Images to probabilities."""
    model = make_member(job.classes)
    model.set_weights(keras_weights(job.data / f"m{member}.safetensors"))
    return keras.Sequential([keras.Input((32, 32, 3)), model, layers.Softmax()])


def in_form(model: keras.Model, form: str, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Predicts any number of images."""
    if form == "predict":
        return lambda images: model.predict(images, batch_size=batch, verbose=0)
    call = (lambda x: model(x, training=False)) if form == "call" else tf.function(
        lambda x: model(x, training=False), jit_compile=form == "xla", reduce_retracing=form != "xla")

    def answer(images: np.ndarray) -> np.ndarray:
        return np.concatenate([call(tf.constant(images[at:at + batch])).numpy() for at in range(0, len(images), batch)])

    return answer
