"""Writes the models of the tests into data/, in the formats that OpenVINO reads besides ONNX. All but one have the weights
of channels_last.onnx or dense.onnx of tests/onnx, so that the predictions are the same. A format is left out if its
package is missing: openvino, tensorflow, paddle (2.6). The tests need none of them."""
import importlib.util
import os
import pathlib
import shutil

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "data"
ONNX = pathlib.Path(__file__).parent.parent / "onnx/data"
FEATURES, CLASSES = 12, 3


def weights(name, *shape, scale=16):
    """As in tests/onnx/make_models.py."""
    return np.random.default_rng(len(name) + sum(shape)).integers(-scale, scale, shape).astype("f4") / scale


W, B = weights("w", FEATURES, CLASSES), weights("b", CLASSES)


def openvino_models():
    import openvino
    from openvino import opset13 as ops
    openvino.save_model(openvino.Core().read_model(ONNX / "dense.onnx"), FOLDER / "dense.xml", compress_to_fp16=False)
    openvino.save_model(openvino.Core().read_model(ONNX / "dense.onnx"), FOLDER / "half_weights.xml", compress_to_fp16=True)
    for name, dtype in [("half_input", np.float16), ("byte_input", np.uint8)]:
        x = ops.parameter([-1, 3, 2, 2], dtype=dtype, name="x")
        flat = ops.reshape(ops.convert(x, "f32"), ops.constant(np.array([-1, FEATURES])), special_zero=False)
        y = ops.add(ops.matmul(flat, ops.constant(W), False, False), ops.constant(B))
        openvino.save_model(openvino.Model([y], [x], name), FOLDER / f"{name}.xml", compress_to_fp16=False)
    x = ops.parameter(openvino.PartialShape.dynamic(), dtype=np.float32, name="x")
    openvino.save_model(openvino.Model([ops.relu(x)], [x], "any_rank"), FOLDER / "any_rank.xml", compress_to_fp16=False)


def tensorflow_models():
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    class Dense(tf.Module):
        def __init__(self):
            self.w, self.b = tf.Variable(W), tf.Variable(B)

        @tf.function(input_signature=[tf.TensorSpec([None, 2, 2, 3], tf.float32, name="x")])
        def __call__(self, x):
            return tf.identity(tf.matmul(tf.reshape(x, [-1, FEATURES]), self.w) + self.b, name="y")

    class AnyChannels(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.float32, name="x")])
        def __call__(self, x):
            return tf.identity(tf.reduce_mean(x, [1, 2]), name="y")

    def frozen(module, name):
        function = convert_variables_to_constants_v2(module.__call__.get_concrete_function())
        tf.io.write_graph(function.graph, str(FOLDER), f"{name}.pb", as_text=False)

    dense = Dense()
    frozen(dense, "dense")
    frozen(AnyChannels(), "any_channels")
    shutil.rmtree(FOLDER / "dense_saved", ignore_errors=True)
    tf.saved_model.save(dense, str(FOLDER / "dense_saved"))
    (FOLDER / "dense_saved/fingerprint.pb").unlink(missing_ok=True)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([dense.__call__.get_concrete_function()], dense)
    (FOLDER / "dense.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(FOLDER / "dense_saved"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([np.random.default_rng(i).uniform(0, 4, [1, 2, 2, 3]).astype("f4")] for i in range(8))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (FOLDER / "int8.tflite").write_bytes(converter.convert())


def paddle_models():
    import paddle

    class Dense(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.dense = paddle.nn.Linear(FEATURES, CLASSES)
            self.dense.weight.set_value(W)
            self.dense.bias.set_value(B)

        def forward(self, x):
            return self.dense(x.flatten(1))

    paddle.jit.save(Dense(), str(FOLDER / "paddle"), input_spec=[paddle.static.InputSpec([None, 3, 2, 2], "float32", "x")])
    (FOLDER / "paddle.pdiparams.info").unlink(missing_ok=True)


if __name__ == "__main__":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    for package, make in [("openvino", openvino_models), ("tensorflow", tensorflow_models), ("paddle", paddle_models)]:
        if importlib.util.find_spec(package):
            make()
            print(f"made the models of {package}")
