"""The ready-made factories of tutti.members, compared with the libraries themselves."""

from __future__ import annotations

import importlib.util
import os
import unittest

from support import MODULE, MembersTest, described, member, run_tests


def needs(package: str):
    return unittest.skipIf(importlib.util.find_spec(package) is None, f"there is no {package}")


def samples():
    import numpy

    return numpy.random.RandomState(5).rand(60, 1, 4, 4).astype(numpy.float32)


def pictures():
    import numpy

    return numpy.random.RandomState(6).rand(60, 3, 4, 5).astype(numpy.float32)


PICTURES = "input: {dataset: npy, images: pictures.npy}\nsegment_images: 20\nbatch_images: 8\n"
ARRAYS = "input: {dataset: npy, images: x.npy}\nsegment_images: 20\nbatch_images: 8\n"


class Factories(MembersTest):
    def compared(self, factory: str, more: str, expected, data: str = ARRAYS) -> str:
        import numpy

        numpy.save(self.folder / "x.npy", samples())
        output = f"run-{len(list(self.folder.glob('run-*')))}"
        errors = self.ran(described(member(factory=factory, more=more), data=data), f"output={output}")
        self.last = output
        numpy.testing.assert_allclose(self.predictions(output), expected, rtol=2e-5, atol=1e-6)
        return errors

    @needs("sklearn")
    def test_a_forest_of_scikit_learn_predicts_its_probabilities(self) -> None:
        import joblib
        from sklearn.ensemble import RandomForestClassifier

        x = samples().reshape(60, -1)
        forest = RandomForestClassifier(10, random_state=3, n_jobs=8).fit(x, (x.sum(1) * 2).astype(int) % 3)
        joblib.dump(forest, self.folder / "forest.joblib")
        self.compared("tutti.members.sklearn:load", "arguments: {path: forest.joblib}", forest.predict_proba(x))
        self.assertIn("sklearn ", str(self.report(self.last)))
        errors = self.ran(described(member(factory="tutti.members.sklearn:load", more="arguments: {path: x.joblib}"),
                                        data=ARRAYS), code=1)
        self.assertIn("FileNotFoundError: there is no file 'x.joblib'; relative paths start at the current folder", errors)

    @needs("sklearn")
    def test_a_file_of_another_version_of_scikit_learn_is_warned_about(self) -> None:
        import joblib
        import sklearn
        from sklearn.linear_model import LogisticRegression

        x = samples().reshape(60, -1)
        model = LogisticRegression().fit(x, (x.sum(1) * 2).astype(int) % 3)
        before, sklearn.base.__version__ = sklearn.base.__version__, "0.1"
        joblib.dump(model, self.folder / "model.joblib")
        sklearn.base.__version__ = before
        errors = self.compared("tutti.members.sklearn:load", "arguments: {path: model.joblib}", model.predict_proba(x))
        self.assertIn("InconsistentVersionWarning", errors)

    @needs("xgboost")
    def test_a_booster_of_xgboost_predicts_its_probabilities(self) -> None:
        import numpy
        import xgboost

        x = samples().reshape(60, -1)
        for name, classes in [("three.json", 3), ("two.ubj", 2)]:
            y = (x.sum(1) * 2).astype(int) % classes
            model = xgboost.XGBClassifier(n_estimators=5).fit(x, y)
            model.save_model(self.folder / name)
            self.compared("tutti.members.xgboost:load", f"arguments: {{path: {name}}}", model.predict_proba(x))

    @needs("torch")
    def test_a_module_of_torch_predicts_what_torch_predicts(self) -> None:
        import torch

        self.write("nets.py", """
import torch
class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, width), torch.nn.Dropout(),
                                          torch.nn.Linear(width, 3))
    def forward(self, x):
        return self.layers(x) if x.sum().item() > -1 else None  # cannot be exported
""")
        spec = importlib.util.spec_from_file_location("nets", self.folder / "nets.py")
        nets = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(nets)
        torch.manual_seed(3)
        net = nets.Net(8).eval()
        torch.save(net.state_dict(), self.folder / "net.pt")
        with torch.inference_mode():
            expected = net(torch.from_numpy(samples())).numpy()
        errors = self.compared("tutti.members.torch:module",
                               "arguments: {make: 'nets:Net', arguments: {width: 8}, weights: net.pt}", expected)
        self.assertNotIn("Warning", errors)

    @needs("torch")
    def test_a_module_in_training_mode_and_one_that_writes_to_its_input_are_refused(self) -> None:
        self.write("mine.py", MODULE + """
import torch, tutti.members.torch
def drops():
    drop = torch.nn.Dropout().train()
    return lambda x: drop(torch.from_numpy(x)).reshape(len(x), -1)
def writes():
    return lambda x: torch.from_numpy(x).add_(1).reshape(len(x), -1)
""")
        import numpy

        numpy.save(self.folder / "x.npy", samples())
        for factory, said in [("drops", "the model gives other outputs when it predicts the same images again"),
                              ("writes", "the model writes to its input, which all members share")]:
            self.assertIn(said, self.refused(described(member(factory="mine:" + factory), data=ARRAYS)))

    @needs("transformers")
    def test_an_image_classifier_of_transformers_predicts_what_transformers_predict(self) -> None:
        import torch
        from transformers import ViTConfig, ViTForImageClassification

        torch.manual_seed(1)
        config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=4,
                           patch_size=2, num_channels=1, num_labels=3)
        model = ViTForImageClassification(config).eval()
        model.save_pretrained(self.folder / "vit")
        with torch.inference_mode():
            expected = model(torch.from_numpy(samples())).logits.numpy()
        self.compared("tutti.members.transformers:image_classifier", "arguments: {path: vit}", expected)

    @needs("keras")
    def test_a_model_of_keras_predicts_what_keras_predicts(self) -> None:
        import keras
        import numpy

        x = pictures()
        numpy.save(self.folder / "pictures.npy", x)
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((4, 5, 3)), keras.layers.Conv2D(4, 3), keras.layers.Dropout(0.5),
                                  keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
        model.save(self.folder / "net.keras")
        expected = model.predict_on_batch(x.transpose(0, 2, 3, 1))
        load = "tutti.members.keras:load"
        arguments = f"arguments: {{path: net.keras, backend: {keras.backend.backend()}}}"
        self.compared(load, arguments, expected, data=PICTURES)
        self.assertIn("keras ", str(self.report(self.last)))
        self.assertIn("ValueError: the model takes 4x5x3 for each sample, and the samples are 1x4x4",
                      self.ran(described(member(factory=load, more=arguments), data=ARRAYS), code=1))
        self.assertIn("FileNotFoundError: there is no file 'x.keras'; relative paths start at the current folder",
                      self.ran(described(member(factory=load, more="arguments: {path: x.keras}"), data=ARRAYS), code=1))

    @needs("flax")
    def test_a_module_of_flax_predicts_what_flax_predicts(self) -> None:
        import flax
        import jax
        import numpy

        x = pictures()
        numpy.save(self.folder / "pictures.npy", x)
        self.write("nets.py", """
import flax.linen
class Net(flax.linen.Module):
    width: int
    @flax.linen.compact
    def __call__(self, x):
        x = flax.linen.relu(flax.linen.Conv(self.width, (3, 3))(x))
        return flax.linen.Dense(3)(x.reshape((x.shape[0], -1)))
""")
        spec = importlib.util.spec_from_file_location("nets", self.folder / "nets.py")
        nets = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(nets)
        net, turned = nets.Net(4), x.transpose(0, 2, 3, 1)
        variables = net.init(jax.random.PRNGKey(3), turned[:1])
        (self.folder / "net.msgpack").write_bytes(flax.serialization.to_bytes(variables))
        factory = "tutti.members.flax:module"
        self.compared(factory, "arguments: {make: 'nets:Net', arguments: {width: 4}, weights: net.msgpack}",
                      net.apply(variables, turned), data=PICTURES)
        for arguments, said in [("make: 'nets:Net', weights: x.msgpack", "there is no file 'x.msgpack' with the variables"),
                                ("make: nets, weights: net.msgpack", "ValueError: 'make' must be a module and a class")]:
            self.assertIn(said, self.ran(described(member(factory=factory, more=f"arguments: {{{arguments}}}"),
                                                   data=PICTURES), code=1))


if __name__ == "__main__":
    run_tests("numpy")
