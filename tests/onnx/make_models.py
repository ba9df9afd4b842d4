"""Writes the ONNX models of the tests into data/: a few hundred bytes each. Needs the packages onnx and numpy; the
tests need neither."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

FOLDER = pathlib.Path(__file__).parent / "data"
SHAPE = [3, 2, 2]  # of the images
FEATURES, CLASSES = 12, 3


def weights(name, *shape, scale=16):
    """Small multiples of a power of two, so that sums are exact in every order."""
    values = np.random.default_rng(len(name) + sum(shape)).integers(-scale, scale, shape).astype("f4") / scale
    return numpy_helper.from_array(values, name)


def value(name, *shape, of=T.FLOAT):
    return helper.make_tensor_value_info(name, of, list(shape))


def save(name, nodes, inputs, outputs, initialisers=(), opset=13, **more):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initialisers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="tutti")
    onnx.save(model, FOLDER / f"{name}.onnx", **more)


def dense(out="y", flat="f"):
    return [helper.make_node("Flatten", ["x"], [flat]), helper.make_node("Gemm", [flat, "w", "b"], [out])]


WEIGHTS = [weights("w", FEATURES, CLASSES), weights("b", CLASSES)]
IMAGES = value("x", "n", *SHAPE)

save("dense", dense(), [IMAGES], [value("y", "n", CLASSES)], WEIGHTS)
save("fixed", dense(), [value("x", 4, *SHAPE)], [value("y", 4, CLASSES)], WEIGHTS)
save("channels_last", dense(), [value("x", "n", 2, 2, 3)], [value("y", "n", CLASSES)], WEIGHTS)
save("any_size", [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])],
     [value("x", "n", 3, "h", "w")], [value("y", "n", 3)])
save("mask", [helper.make_node("Conv", ["x", "k"], ["y"])], [IMAGES], [value("y", "n", 2, 2, 2)], [weights("k", 2, 3, 1, 1)])
save("two_inputs", dense("d") + [helper.make_node("Cast", ["t"], ["c"], to=T.FLOAT), helper.make_node("Add", ["d", "c"], ["y"])],
     [IMAGES, value("t", "n", CLASSES, of=T.INT64)], [value("y", "n", CLASSES)], WEIGHTS)
save("two_outputs", dense("y") + [helper.make_node("Neg", ["y"], ["minus"])],
     [IMAGES], [value("y", "n", CLASSES), value("minus", "n", CLASSES)], WEIGHTS)
save("half", dense("d") + [helper.make_node("Cast", ["d"], ["y"], to=T.FLOAT16)],
     [IMAGES], [value("y", "n", CLASSES, of=T.FLOAT16)], WEIGHTS)
save("double", dense("d") + [helper.make_node("Cast", ["d"], ["y"], to=T.DOUBLE)],
     [IMAGES], [value("y", "n", CLASSES, of=T.DOUBLE)], WEIGHTS)
save("classes", dense("d") + [helper.make_node("ArgMax", ["d"], ["y"], axis=1, keepdims=0)],
     [IMAGES], [value("y", "n", of=T.INT64)], WEIGHTS)
save("softmax", dense("d") + [helper.make_node("Softmax", ["d"], ["y"], axis=1)], [IMAGES], [value("y", "n", CLASSES)], WEIGHTS)
def drawn(name, *shape):
    """Weights whose products have to be rounded."""
    return numpy_helper.from_array(np.random.default_rng(len(name)).uniform(-1, 1, shape).astype("f4") / 3, name)


save("network", [helper.make_node("Conv", ["x", "c1", "c1b"], ["h"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("Conv", ["r", "c2", "c2b"], ["g"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["g"], ["s"]),
                 helper.make_node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2]), helper.make_node("Flatten", ["p"], ["f"]),
                 helper.make_node("Gemm", ["f", "d", "db"], ["y"])],
     [IMAGES], [value("y", "n", CLASSES)],
     [drawn("c1", 16, 3, 3, 3), drawn("c1b", 16), drawn("c2", 16, 16, 3, 3), drawn("c2b", 16), drawn("d", 16, CLASSES),
      drawn("db", CLASSES)])
save("int8", [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["u"]),
              helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"]), helper.make_node("Flatten", ["u"], ["f"]),
              helper.make_node("Gemm", ["f", "w", "b"], ["y"])],
     [IMAGES], [value("y", "n", CLASSES)],
     [numpy_helper.from_array(np.array(1 / 32, "f4"), "xs"), numpy_helper.from_array(np.array(0, "u1"), "xz"),
      numpy_helper.from_array((numpy_helper.to_array(WEIGHTS[0]) * 16).astype("i1"), "wq"),
      numpy_helper.from_array(np.array(1 / 16, "f4"), "ws"), numpy_helper.from_array(np.array(0, "i1"), "wz"), WEIGHTS[1]])
save("flat", [helper.make_node("Reshape", ["x", "s"], ["y"])], [IMAGES], [value("y", "m")],
     [numpy_helper.from_array(np.array([-1], "i8"), "s")])
save("sequence", [helper.make_node("SplitToSequence", ["x"], ["y"], axis=1)], [IMAGES],
     [helper.make_tensor_sequence_value_info("y", T.FLOAT, None)])
save("random", dense("d") + [helper.make_node("RandomNormalLike", ["d"], ["r"]), helper.make_node("Add", ["d", "r"], ["y"])],
     [IMAGES], [value("y", "n", CLASSES)], WEIGHTS)
save("unknown_operator", [helper.make_node("NoSuchOperator", ["x"], ["y"])], [IMAGES], [value("y", "n", *SHAPE)])
save("future_opset", dense(), [IMAGES], [value("y", "n", CLASSES)], WEIGHTS, opset=999)
save("external", dense(), [IMAGES], [value("y", "n", CLASSES)], WEIGHTS, save_as_external_data=True, size_threshold=0,
     location="external.weights")
(FOLDER / "external.weights").unlink()  # what a user forgets to copy
