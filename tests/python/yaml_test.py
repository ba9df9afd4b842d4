"""Tests of what python/tutti does with YAML: FusionBench's configurations, and members added to a file. Need pyyaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support import HERE, ExportTest, run_tests

from tutti.export import member
from tutti.export.errors import ExportError

TA8 = ["sun397", "stanford-cars", "resisc45", "eurosat", "svhn", "gtsrb", "mnist", "dtd"]


class FusionBench(ExportTest):
    def sample(self, name: str) -> dict[str, Any]:
        import yaml

        return yaml.safe_load((HERE / "fusion_bench" / f"{name}.yaml").read_text())

    def resolved(self, name: str = "clip_simple_average", **changes: Any) -> Path:
        """A sample with some keys changed: method__weights=[...]; None removes a key."""
        import yaml

        config = self.sample(name)
        for path, value in changes.items():
            *parents, last = path.split("__")
            part = config
            for key in parents:
                part = part[key]
            if value is None:
                del part[last]
            else:
                part[last] = value
        return self.write("resolved.yaml", yaml.safe_dump(config, sort_keys=False))

    def converted(self, file: Path, *words: object) -> tuple[dict[str, Any], str]:
        """The YAML that came out, and its text."""
        import yaml

        text = self.exported("fusion-bench", file, *words)
        return yaml.safe_load(text), text

    def test_the_eight_task_ensemble_is_converted_whole(self) -> None:
        config, text = self.converted(HERE / "fusion_bench" / "clip_ta8_simple_ensemble.yaml")
        self.assertEqual([entry["name"] for entry in config["members"]], TA8)
        self.assertEqual(config["members"][1]["model"], {
            "kind": "clip-vit", "path": "models/clip/clip-vit-base-patch32_stanford-cars", "output": "pooled"})
        self.assertEqual({entry["output"] for entry in config["members"]}, {"features"})
        self.assertEqual(config["members"][0]["input"]["interpolation"], "bicubic")
        self.assertEqual(config["combine"], {"rule": "mean", "over": "features"})
        self.assertEqual(config["base"], {"kind": "clip-vit", "path": "models/clip/clip-vit-base-patch32"})
        self.assertEqual([task["name"] for task in config["tasks"]], TA8)
        self.assertEqual(config["tasks"][4], {"name": "svhn", "input": {"dataset": "folder", "path": "data/svhn/test"},
                                              "head": "heads/svhn.safetensors"})
        self.assertEqual((config["batch_images"], config["segment_images"]), (128, 500))
        self.assertNotIn("merge", config)
        self.assertNotIn("device_map", config)
        self.assertIn("tutti evaluate THIS_FILE", text)

    def test_each_file_to_fetch_is_in_the_output_once(self) -> None:
        _, text = self.converted(HERE / "fusion_bench" / "clip_ta8_simple_ensemble.yaml")
        for line in ("hf download tanganke/clip-vit-base-patch32_dtd --local-dir models/clip/clip-vit-base-patch32_dtd",
                     "hf download openai/clip-vit-base-patch32 --local-dir models/clip/clip-vit-base-patch32",
                     "hf download ufldl-stanford/svhn --repo-type dataset --local-dir data/parquet/svhn",
                     "python -m tutti.export dataset data/parquet/svhn/cropped_digits --split test "
                     "--output data/svhn/test",
                     "python -m tutti.export head --tower models/clip/clip-vit-base-patch32 --task sun397 "
                     "--output heads/sun397.safetensors",
                     "python -m tutti.export head --tower models/clip/clip-vit-base-patch32 --task mnist "
                     "--output heads/mnist.safetensors"):
            self.assertEqual(text.count(f"#   {line}\n"), 1, line)

    def test_what_is_there_already_is_not_fetched(self) -> None:
        names = ("clip-vit-base-patch32", "clip-vit-base-patch32_sun397", "clip-vit-base-patch32_stanford-cars")
        for name in names:
            (self.folder / "m" / name).mkdir(parents=True)
        preprocessor = {"size": {"shortest_edge": 96}, "crop_size": 96, "do_center_crop": True, "do_normalize": False}
        self.write(f"m/{names[1]}/preprocessor_config.json", json.dumps(preprocessor))
        for name in ("sun397", "stanford-cars"):
            (self.folder / "d" / name / "test").mkdir(parents=True)
            self.write(f"h/{name}.safetensors", "")
        config, text = self.converted(self.resolved(), "--models", self.folder / "m", "--heads", self.folder / "h",
                                      "--data", self.folder / "d")
        self.assertNotIn("hf download", text)
        self.assertNotIn("tutti.export", text)
        self.assertEqual(config["members"][0]["input"]["resize"], 96)
        self.assertEqual(config["members"][1]["input"]["resize"], 224)

    def test_simple_average_becomes_a_merge_that_is_evaluated(self) -> None:
        config, text = self.converted(self.resolved())
        self.assertEqual(config["merge"], {"method": "average"})
        self.assertEqual(config["combine"], {"rule": "mean", "over": "features"})
        self.assertEqual([entry["name"] for entry in config["members"]], ["sun397", "stanford-cars"])
        self.assertIn("tutti merge THIS_FILE", text)

    def test_the_older_form_is_converted(self) -> None:
        config, _ = self.converted(HERE / "fusion_bench" / "older_ties.yaml")
        self.assertEqual(config["merge"], {"method": "ties", "scaling": 0.3, "density": 0.2, "disjoint": "sum"})
        self.assertEqual([entry["name"] for entry in config["members"]], ["svhn", "mnist"])
        self.assertEqual([task["input"]["path"] for task in config["tasks"]], ["data/svhn/test", "data/mnist/test"])
        self.assertEqual(config["base"]["path"], "models/clip/clip-vit-base-patch32")
        self.assertEqual(config["batch_images"], 32)

    def method(self, kind: str, **keys: Any) -> tuple[dict[str, Any], str]:
        return self.converted(self.resolved(method={"_target_": f"fusion_bench.method.{kind}", **keys}))

    def test_every_method_has_its_counterpart(self) -> None:
        config, _ = self.method("WeightedEnsembleAlgorithm", normalize=False, weights=[0.75, 0.5])
        self.assertEqual(config["combine"], {"rule": "weighted", "over": "features", "normalize": False})
        self.assertEqual([entry["weight"] for entry in config["members"]], [0.75, 0.5])
        config, _ = self.method("WeightedEnsembleAlgorithm", weights=None)
        self.assertEqual([entry["weight"] for entry in config["members"]], [0.5, 0.5])
        config, _ = self.method("MaxModelPredictorAlgorithm")
        self.assertEqual(config["combine"], {"rule": "max", "over": "features"})
        config, _ = self.method("WeightedAverageAlgorithm", normalize=True, weights=[1, 3])
        self.assertEqual(config["merge"], {"method": "weighted", "weights": [1.0, 3.0], "normalize": True})
        config, _ = self.method("TaskArithmeticAlgorithm", scaling_factor=0.4)
        self.assertEqual(config["merge"], {"method": "task_arithmetic", "scaling": 0.4})
        config, _ = self.method("TiesMergingAlgorithm", scaling_factor=0.3, threshold=0.1, merge_func="mean")
        self.assertEqual((config["merge"]["density"], config["merge"]["disjoint"]), (0.1, "mean"))

    def test_a_device_map_is_carried_over(self) -> None:
        config, _ = self.method("SimpleEnsembleAlgorithm", device_map={0: "cuda:0", 1: "cuda:1"})
        self.assertEqual(config["device_map"], {0: "cuda:0", 1: "cuda:1"})
        text = self.refused("fusion-bench", self.resolved(method={"type": "simple_ensemble", "device_map": "auto"}))
        self.assertIn("'method.device_map' is auto", text)

    def test_what_cannot_be_carried_over_is_listed(self) -> None:
        file = self.resolved(method={"type": "ties_merging", "merge_func": "max", "remove_keys": ["a"]},
                             merged_model_save_path="out", fast_dev_run=True, taskpool__fast_dev_run=True,
                             taskpool__dataloader_kwargs={"shuffle": True}, something={"else": 1},
                             modelpool__models={"_pretrained_": "o/base", "_mtl_": "o/mtl", "one": "o/one"})
        _, text = self.converted(file)
        for line in ("method.merge_func: max - Tutti's ties takes the sum or the mean", "method.remove_keys: ...",
                     "merged_model_save_path: out - `tutti merge` always saves", "fast_dev_run: true - add `limit: N`",
                     "taskpool.fast_dev_run: true", "taskpool.dataloader_kwargs.shuffle: true", "something: ...",
                     "modelpool.models._mtl_: o/mtl - a model with a special role", "fabric: ..."):
            self.assertIn(f"#   {line}", text)
        out = self.exported("fusion-bench", file, "--output", self.folder / "out.yaml")
        self.assertIn("1 member, 2 tasks", out)
        self.assertIn("not carried over: something: ...", out)
        self.assertIn("combine: {rule: mean", (self.folder / "out.yaml").read_text())

    def test_without_a_task_pool_there_are_no_tasks(self) -> None:
        for pool in (None, {"_target_": "fusion_bench.taskpool.DummyTaskPool"}):
            config, _ = self.converted(self.resolved(taskpool=pool))
            self.assertNotIn("tasks", config)
        config, text = self.converted(self.resolved(taskpool={"_target_": "x.NYUv2TaskPool", "test_datasets": {}}))
        self.assertNotIn("tasks", config)
        self.assertIn("taskpool: NYUv2TaskPool - only CLIPVisionModelTaskPool", text)

    def test_folders_and_short_forms_are_taken_as_they_are(self) -> None:
        (self.folder / "tower").mkdir()
        file = self.resolved(seed=7, modelpool__models={"a": str(self.folder / "tower")},
                             taskpool__test_datasets={"dtd": "tanganke/dtd"})
        config, text = self.converted(file)
        self.assertEqual(config["members"][0]["model"]["path"], str(self.folder / "tower"))
        self.assertEqual(config["seed"], 7)
        self.assertIn("hf download tanganke/dtd --repo-type dataset", text)
        self.assertNotIn("base", config)

    def test_names_become_those_that_tutti_takes(self) -> None:
        config, _ = self.converted(self.resolved(modelpool__models={"a b/c": "o/one", "12": "o/two"}))
        self.assertEqual([entry["name"] for entry in config["members"]], ["a-b-c", "m12"])

    def test_an_unresolved_file_is_rejected(self) -> None:
        for changes, words in (({"defaults": []}, "it has Hydra's 'defaults'"),
                               ({"taskpool__base_model": "${model}"}, "taskpool.base_model is '${model}'"),
                               ({"modelpool__models": "???"}, "modelpool.models is '???'"),
                               ({"method": None}, "has no 'method'"), ({"modelpool": None}, "has no 'modelpool'")):
            text = self.refused("fusion-bench", self.resolved(**changes))
            self.assertIn(words, text)
            self.assertIn("fusion_bench --cfg job --resolve", text)

    def test_files_that_are_not_a_configuration_are_rejected(self) -> None:
        self.assertIn("is not YAML", self.refused("fusion-bench", self.write("a.yaml", "a: [")))
        self.assertIn("is not a mapping", self.refused("fusion-bench", self.write("b.yaml", "[1]")))
        self.assertIn("could not read", self.refused("fusion-bench", self.folder / "none.yaml"))

    def test_a_method_without_a_counterpart_is_rejected(self) -> None:
        for changes, words in (
                ({"method": {"_target_": "x.FisherMerging"}}, "cannot convert the method 'FisherMerging'"),
                ({"modelpool___target_": "x.CausalLMPool"}, "cannot convert the modelpool 'CausalLMPool'"),
                ({"modelpool__models": {}}, "lists no models"),
                ({"modelpool__models": {"_pretrained_": "o/base"}}, "has only models with special roles"),
                ({"modelpool__models": {"a": {"b": 1}}}, "'modelpool.models.a' names no pretrained model"),
                ({"modelpool__models": {"a": "/none/a"}}, "the model folder '/none/a' does not exist here"),
                ({"method": {"type": "weighted_ensemble", "weights": [1]}}, "'method.weights' is [1], and there are 2"),
                ({"method": {"type": "weighted_average", "weights": ["a", 2]}}, "'method.weights' is [a, 2]"),
                ({"taskpool__test_datasets": {}}, "the taskpool lists no tasks"),
                ({"taskpool__test_datasets": {"a": 1}}, "the images of task 'a' are 1"),
                ({"taskpool__test_datasets": {"a": {"split": "test"}}}, "have neither path nor name")):
            self.assertIn(words, self.refused("fusion-bench", self.resolved(**changes)))
        pool = {"a": "o/one"}
        for method in ("task_arithmetic", "ties_merging"):
            text = self.refused("fusion-bench", self.resolved(method={"type": method}, modelpool__models=pool))
            self.assertIn("has no '_pretrained_'", text)
        file = self.resolved(taskpool={"type": "clip_vit_classification", "tasks": [{"name": "a", "dataset": "o/a"}]})
        self.assertIn("has no 'clip_model'", self.refused("fusion-bench", file))


class Examples(ExportTest):
    """config/examples/clip_*.yaml, which docs/clip_ta8.md uses."""

    def example(self, name: str) -> dict[str, Any]:
        import yaml

        return yaml.safe_load((HERE.parents[1] / "config" / "examples" / f"{name}.yaml").read_text())

    def test_the_examples_are_what_fusion_benchs_configurations_come_to(self) -> None:
        import yaml

        for name, sample in (("clip_ta8", "clip_ta8_simple_ensemble"), ("clip_simple_average", "clip_simple_average")):
            example = self.example(name)
            converted = yaml.safe_load(self.exported("fusion-bench", HERE / "fusion_bench" / f"{sample}.yaml"))
            for entry in converted["members"]:
                entry["model"]["path"] = entry["model"]["path"].replace("clip-vit-base-patch32_", "")
            for key in ("members", "combine", "tasks"):
                self.assertEqual(example[key], converted[key], (name, key))
            self.assertEqual(example.get("merge"), converted.get("merge"))

    def test_the_guide_makes_what_the_examples_read(self) -> None:
        guide = (HERE.parents[1] / "docs" / "clip_ta8.md").read_text()
        example = self.example("clip_ta8")
        for task in example["tasks"]:
            self.assertIn(f"\nfetch {task['name']} ", guide)
            self.assertEqual(task["input"]["path"], f"data/{task['name']}/test")
            self.assertEqual(task["head"], f"heads/{task['name']}.safetensors")
        for words in ("--output data/$1/test", "--output heads/$task.safetensors", "--local-dir models/clip/$task",
                      f"--output {example['base']['path']}\n"):
            self.assertIn(words, guide)


class Members(ExportTest):
    ENTRY = member.entry("new", {"model": {"kind": "aoti", "path": "new.pt2"}}, "logits", {})

    def inserted(self, text: str) -> str:
        return member.inserted(text, self.ENTRY, "e.yaml")

    def names(self, text: str) -> list[str]:
        import yaml

        return [entry["name"] for entry in yaml.safe_load(text)["members"]]

    def test_a_member_is_added_behind_the_last_and_all_else_stays(self) -> None:
        for text in ("# first\nmembers:   # ours\n  - {name: a, model: {kind: fake}}   # a\n\n# next\ncombine: {rule: mean}\n",
                     "seed: 1\nmembers:\n- name: a\n  model:\n    kind: fake\n    faults:\n    - {kind: hang}\nslots: 2\n",
                     "members:\n    - name: a\n      model: {kind: torchscript,\n              path: a.pt}\n    # end\n",
                     "members:\n  - name: a\n    weight:\n    seed:\nslots: 2", "members: \n  - {name: a}"):
            changed = self.inserted(text)
            self.assertEqual(self.names(changed), ["a", "new"], changed)
            kept = changed.replace(member.text_of(self.ENTRY, " " * (len(text.split("- ")[0].split("\n")[-1]))), "")
            self.assertEqual(kept.rstrip("\n"), text.rstrip("\n"))

    def test_a_file_without_members_gets_the_list(self) -> None:
        self.assertEqual(self.names(self.inserted("slots: 2\n")), ["new"])
        self.assertEqual(self.names(self.inserted("# nothing yet\n")), ["new"])

    def test_an_empty_list_of_members_gets_its_first(self) -> None:
        for members in ("members:", "members: []", "members: [ ]  # none yet", "members:  # none yet", "members: null",
                        "members: ~"):
            for before in ("", "seed: 1\n"):
                for after in ("", "\n", "\n\n# next\ncombine: {rule: mean}\n"):
                    changed = self.inserted(before + members + after)
                    self.assertEqual(self.names(changed), ["new"], changed)
                    self.assertEqual("combine: {rule: mean}" in changed, "combine" in after)
                    self.assertEqual("# none yet" in changed, "none" in members)

    def test_files_that_cannot_be_added_to_are_rejected(self) -> None:
        for text, words in (("members: [{name: a}]\n", "not a list with one member per line"),
                            ("members: {a: 1}\n", "not a list with one member per line"), ("a: [\n", "is not YAML"),
                            ("- a\n", "is not a mapping"), ("members:\n  - {name: new}\n", "already has a member 'new'")):
            with self.assertRaises(ExportError) as caught:
                self.inserted(text)
            self.assertIn(words, str(caught.exception))

    def test_members_are_added_to_a_file_one_after_the_other(self) -> None:
        file = self.folder / "e.yaml"
        for number in range(3):
            member.add_to_file(file, member.entry(f"m{number}", {"model": {"kind": "aoti", "path": "a"}}, "logits", {"resize": 8}))
        self.assertEqual(self.names(file.read_text()), ["m0", "m1", "m2"])


if __name__ == "__main__":
    run_tests("yaml")
