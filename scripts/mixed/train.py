"""Trains the members of config/examples/mixed.yaml that Tutti does not train itself: a network of Keras, a forest of
scikit-learn, trees of XGBoost, and a network that scikit-learn trains and that becomes an ONNX file. Needs keras, jax,
scikit-learn, joblib, xgboost and onnx."""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # as config/examples/mixed.yaml says; read when keras is imported

import joblib
import keras
import numpy
import onnx
import xgboost
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

SCALE = 4  # Tutti draws each of the 8x8 values as a 4x4 block of 3x32x32 images


def digits(count):
    """The first digits as `dataset: digits` gives them."""
    data = load_digits()
    images = (data.images[:count] / 16).astype(numpy.float32)
    images = images.repeat(SCALE, 1).repeat(SCALE, 2)
    return numpy.stack([images] * 3, 1), data.target[:count]


def save_keras_cnn(images, labels, path):
    """A convolutional network on the 8x8 values; outputs probabilities. Keras has the channels last."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([
        keras.Input((8 * SCALE, 8 * SCALE, 3)), keras.layers.AveragePooling2D(SCALE),
        keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")
    ])
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(images.transpose(0, 2, 3, 1), labels, batch_size=8, epochs=8, verbose=0)
    network.save(path)


def save_mlp(mlp, path):
    """A network of one hidden layer on the 8x8 values; outputs logits."""
    (hidden, out), (hidden_bias, out_bias) = mlp.coefs_, mlp.intercepts_
    constants = {"starts": [0, 0, 0], "ends": [1, 8 * SCALE, 8 * SCALE], "axes": [1, 2, 3], "steps": [1, SCALE, SCALE]}
    weights = {"hidden": hidden, "hidden_bias": hidden_bias, "out": out, "out_bias": out_bias}
    tensors = [numpy_helper.from_array(numpy.array(value, numpy.int64), name) for name, value in constants.items()]
    tensors += [numpy_helper.from_array(value.astype(numpy.float32), name) for name, value in weights.items()]
    nodes = [helper.make_node("Slice", ["images", *constants], ["values"]),
             helper.make_node("Flatten", ["values"], ["row"]),
             helper.make_node("Gemm", ["row", "hidden", "hidden_bias"], ["sums"]),
             helper.make_node("Relu", ["sums"], ["active"]),
             helper.make_node("Gemm", ["active", "out", "out_bias"], ["logits"])]
    images = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, 8 * SCALE, 8 * SCALE])
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "mlp", [images], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/mixed")
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits(400)
    save_keras_cnn(images, labels, folder / "keras.keras")
    rows = images.reshape(len(images), -1)
    joblib.dump(RandomForestClassifier(200, random_state=0).fit(rows, labels), folder / "forest.joblib")
    trees = xgboost.XGBClassifier(n_estimators=200, max_depth=2, random_state=0, n_jobs=1).fit(rows, labels)
    trees.save_model(folder / "trees.ubj")
    values = images[:, 0, ::SCALE, ::SCALE].reshape(len(images), -1)
    mlp = MLPClassifier((24,), random_state=0, max_iter=1000, alpha=1e-3).fit(values, labels)
    save_mlp(mlp, folder / "mlp.onnx")
    print(f"trained keras.keras, forest.joblib, trees.ubj and mlp.onnx in {folder}")


if __name__ == "__main__":
    main()
