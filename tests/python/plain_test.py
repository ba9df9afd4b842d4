"""Tests of python/tutti with only the standard library: cache, files, lists, preprocessing, options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support import PYTHON, ExportTest, run_tests

from tutti.export import errors, files, hub, member, preprocessing, task_lists
from tutti.export.errors import ExportError


class Plain(ExportTest):
    def fails(self, action, *arguments) -> str:
        with self.assertRaises(ExportError) as caught:
            action(*arguments)
        return str(caught.exception)

    def snapshot(self, kind: str = "models", commit: str = "abc123", branch: str = "main") -> Path:
        repository = self.folder / "cache" / "hub" / f"{kind}--owner--name"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        return folder

    # Hugging Face's cache

    def test_a_name_in_the_cache_is_the_folder_of_its_snapshot(self) -> None:
        folder = self.snapshot()
        self.assertEqual(hub.resolve("hf:owner/name"), folder)
        self.assertEqual(hub.resolve("hf:owner/name@main"), folder)
        self.assertEqual(hub.resolve("hf:owner/name@abc123"), folder)

    def test_data_sets_have_folders_of_their_own(self) -> None:
        folder = self.snapshot("datasets")
        self.assertEqual(hub.resolve("hf:datasets/owner/name"), folder)
        self.assertIn("hf download owner/name\n", self.fails(hub.resolve, "hf:owner/name") + "\n")

    def test_the_variables_of_huggingface_hub_count_in_its_order(self) -> None:
        os.environ["XDG_CACHE_HOME"] = "/x"
        self.assertEqual(hub.cache_folder(), self.folder / "cache" / "hub")
        os.environ["HUGGINGFACE_HUB_CACHE"] = "/old"
        self.assertEqual(hub.cache_folder(), Path("/old"))
        os.environ["HF_HUB_CACHE"] = "/new"
        self.assertEqual(hub.cache_folder(), Path("/new"))
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
            del os.environ[name]
        self.assertEqual(hub.cache_folder(), Path("/x/huggingface/hub"))

    def test_what_the_cache_lacks_comes_with_the_command_that_downloads_it(self) -> None:
        text = self.fails(hub.resolve, "hf:owner/other@v2")
        self.assertIn("'hf:owner/other@v2' is not in the local Hugging Face cache", text)
        self.assertIn("looked for revision 'v2' in", text)
        self.assertIn("hf download owner/other --revision v2", text)
        self.assertIn("hf download owner/set --repo-type dataset", self.fails(hub.resolve, "hf:datasets/owner/set"))

    def test_a_snapshot_with_broken_links_is_incomplete(self) -> None:
        (self.snapshot() / "model.safetensors").symlink_to(self.folder / "nowhere")
        text = self.fails(hub.resolve, "hf:owner/name")
        self.assertIn("is incomplete in the local Hugging Face cache: model.safetensors", text)
        self.assertIn("hf download owner/name", text)

    def test_names_that_are_not_repositories_are_rejected(self) -> None:
        for text in ("hf:", "hf:a/b/c", "hf:owner/name@", "hf:../secret", "hf:owner/na me"):
            self.assertIn("does not name a repository", self.fails(hub.resolve, text), text)

    def test_a_path_that_is_not_there_may_have_been_meant_for_the_cache(self) -> None:
        self.assertIn("write hf:owner/name", self.fails(hub.resolve, "owner/name"))
        text = self.fails(hub.resolve, str(self.folder / "nothing" / "there"))
        self.assertIn("does not exist", text)
        self.assertNotIn("hint", text)

    # Files and YAML's words

    def test_a_file_appears_whole_or_not_at_all(self) -> None:
        file = self.write("a.txt", "old")
        with self.assertRaises(RuntimeError), files.written_whole(file) as partial:
            partial.write_text("half")
            raise RuntimeError
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["a.txt"])
        self.assertEqual(file.read_text(), "old")
        with files.written_whole(file) as partial:
            partial.write_text("new")
        self.assertEqual(file.read_text(), "new")

    def test_a_file_needs_a_folder_and_is_none_itself(self) -> None:
        def write(file: Path) -> None:
            with files.written_whole(file):
                self.fail("it was let in")

        self.assertIn("does not exist", self.fails(write, self.folder / "none" / "a.txt"))
        self.assertIn("is a folder", self.fails(write, self.folder))

    def test_what_yaml_would_read_as_something_else_is_quoted(self) -> None:
        self.assertEqual(files.flow({"a": ["plain/x.pt", "yes", "12", "a: b", "", None, True, 3, 0.5, 1e-7, 2.0]}),
                         '{a: [plain/x.pt, "yes", "12", "a: b", "", null, true, 3, 0.5, 1e-07, 2.0]}')

    def test_missing_packages_are_named_with_the_command_that_installs_them(self) -> None:
        text = self.fails(errors.need, "no_such_module.part", "thinking")
        self.assertIn("thinking needs the Python package 'no_such_module', which is not installed", text)
        self.assertIn("pip install no_such_module", text)
        errors.PACKAGES["no_such_module"] = "other-name"
        self.addCleanup(errors.PACKAGES.pop, "no_such_module")
        self.assertIn("pip install other-name", self.fails(errors.need, "no_such_module", "thinking"))

    # Lists

    def test_the_lists_that_ship_have_the_sizes_of_their_data_sets(self) -> None:
        sizes = {name: (len(task_lists.task(name).templates), len(task_lists.task(name).classes))
                 for name in task_lists.known()}
        self.assertEqual(sizes, {"dtd": (8, 47), "eurosat": (3, 10), "gtsrb": (3, 43), "mnist": (1, 10),
                                 "resisc45": (18, 45), "stanford-cars": (8, 196), "sun397": (2, 397), "svhn": (1, 10)})

    def test_the_lists_that_ship_pass_the_checks_for_those_of_users(self) -> None:
        for name in task_lists.known():
            task_lists.check_templates(task_lists.task(name).templates)
            task_lists.check_classes(task_lists.task(name).classes)

    def test_the_nearest_task_is_offered(self) -> None:
        self.assertIn("did you mean resisc45?", self.fails(task_lists.task, "resisc"))
        self.assertIn("--classes FILE", self.fails(task_lists.task, "quite-another"))
        self.assertEqual(task_lists.task("stanford_cars"), task_lists.task("stanford-cars"))

    def test_lists_of_users_must_be_readable_and_hold_something(self) -> None:
        self.assertIn("No such file", self.fails(task_lists.lines_of, self.folder / "none", "class names"))
        self.assertIn("has no class names", self.fails(task_lists.lines_of, self.write("a", "\n\n"), "class names"))
        (self.folder / "b").write_bytes(b"\xff\xfe")
        self.assertIn("not text in UTF-8", self.fails(task_lists.lines_of, self.folder / "b", "class names"))
        self.assertEqual(task_lists.lines_of(self.write("c", "cat\n\n dog \n"), "class names"), ["cat", "dog"])

    def test_templates_hold_the_class_name_once(self) -> None:
        self.assertIn("must have {} once", self.fails(task_lists.check_templates, ["a photo"]))
        self.assertIn("must have {} once", self.fails(task_lists.check_templates, ["{} and {}"]))

    def test_classes_are_several_and_differ(self) -> None:
        self.assertIn("at least two classes", self.fails(task_lists.check_classes, ["cat"]))
        self.assertIn("not unique: cat", self.fails(task_lists.check_classes, ["cat", "dog", "cat"]))

    # Preprocessing

    def preprocessing_of(self, **config: object) -> dict:
        self.write("preprocessor_config.json", json.dumps(config))
        return preprocessing.read(self.folder)

    def test_clips_preprocessing_is_read(self) -> None:
        found = self.preprocessing_of(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}, resample=3,
                                      do_center_crop=True, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.2, 0.2])
        self.assertEqual(found, {"resize": 224, "rule": "shorter", "crop": 224, "crop_rounding": "floor", "interpolation": "bicubic",
                                 "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]})
        self.assertEqual(preprocessing.output_size(found), (224, 224))

    def test_older_and_other_forms_of_preprocessing_are_read(self) -> None:
        self.assertEqual(self.preprocessing_of(size=224, crop_size=200, do_center_crop=True, do_normalize=False),
                         {"resize": 224, "rule": "shorter", "crop": 200, "crop_rounding": "floor", "interpolation": "bilinear"})
        exact = self.preprocessing_of(size={"height": 32, "width": 48}, resample=0, do_normalize=False)
        self.assertEqual(exact, {"resize": [32, 48], "rule": "exact", "interpolation": "nearest"})
        self.assertEqual(preprocessing.output_size(exact), (32, 48))
        convnext = {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3, "do_normalize": False}
        self.assertEqual(self.preprocessing_of(**convnext),
                         {"resize": 256, "rule": "shorter", "crop": 224, "crop_rounding": "floor", "interpolation": "bicubic"})
        convnext["size"] = {"shortest_edge": 384}
        self.assertEqual(self.preprocessing_of(**convnext),
                         {"resize": 384, "rule": "exact", "interpolation": "bicubic"})
        only_mean = self.preprocessing_of(do_resize=False, image_mean=[0.5], image_std=[0.5])
        self.assertEqual(only_mean, {"mean": [0.5], "std": [0.5]})
        self.assertIsNone(preprocessing.output_size(only_mean))
        self.assertEqual(preprocessing.read(self.folder / "elsewhere"), {})

    def test_the_image_processor_inside_a_processor_comes_first(self) -> None:
        inner = {"size": 8, "do_normalize": False, "image_processor_type": "ViTImageProcessor"}
        self.write("processor_config.json", json.dumps({"image_processor": inner, "processor_class": "CLIPProcessor"}))
        expected = {"resize": 8, "rule": "exact", "interpolation": "bilinear"}
        self.assertEqual(preprocessing.read(self.folder), expected)
        self.write("preprocessor_config.json", json.dumps(inner | {"size": 16}))
        self.assertEqual(preprocessing.read(self.folder), expected)
        # Before transformers 5, the file says nothing about images.
        self.write("processor_config.json", json.dumps({"processor_class": "CLIPProcessor"}))
        self.assertEqual(preprocessing.read(self.folder), expected | {"resize": 16})

    def test_what_a_file_leaves_out_is_what_its_class_does(self) -> None:
        mean = {"image_mean": [0.5], "image_std": [0.5]}
        clip = self.preprocessing_of(size={"shortest_edge": 8}, crop_size=8, image_processor_type="CLIPImageProcessorFast",
                                     **mean)
        self.assertEqual(clip | mean, {"resize": 8, "rule": "shorter", "crop": 8, "crop_rounding": "floor",
                                       "interpolation": "bicubic", "mean": [0.5], "std": [0.5], **mean})
        old = self.preprocessing_of(size=8, feature_extractor_type="ViTFeatureExtractor", **mean)
        self.assertEqual((old["rule"], old["interpolation"], "crop" in old), ("exact", "bilinear", False))
        convnext = self.preprocessing_of(size={"shortest_edge": 224}, image_processor_type="ConvNextImageProcessor",
                                         do_center_crop=None, **mean)
        self.assertEqual((convnext["resize"], convnext["crop"]), (256, 224))

    def test_preprocessing_that_tutti_cannot_do_is_rejected(self) -> None:
        for config, text in (({"size": 8, "resample": 1}, "'resample' is 1"), ({"do_pad": True}, "does not pad"),
                             ({"size": {"longest_edge": 8}}, "not a size that Tutti supports"),
                             ({"do_resize": False, "do_center_crop": True}, "Tutti crops only images that it has resized"),
                             ({"size": 8, "rescale_factor": 1 / 127.5}, "divides by 255"),
                             ({"do_rescale": False}, "'do_rescale' is false"),
                             ({"do_normalize": False}, "'size' is missing"),
                             ({"size": 8}, "'image_mean' is missing"),
                             ({"size": 8, "image_mean": [0.5]}, "'image_std' is missing"),
                             ({"do_flip_channel_order": True}, "'do_flip_channel_order' is true"),
                             ({"include_top": True}, "'include_top' is true"),
                             ({"image_processor_type": "BeitImageProcessor", "size": 8}, "'do_center_crop' is missing"),
                             ({"image_processor_type": "LevitImageProcessor", "size": 8},
                              "'image_processor_type' is LevitImageProcessor"),
                             ({"image_processor_type": "MyProcessor"}, "'image_processor_type' is MyProcessor")):
            with self.assertRaises(ExportError) as caught:
                self.preprocessing_of(**config)
            self.assertIn(text, str(caught.exception))
            self.assertIn("--no-input", str(caught.exception))
        self.write("preprocessor_config.json", "{")
        self.assertIn("cannot read", self.fails(preprocessing.read, self.folder))

    def test_files_that_are_git_lfs_pointers_are_reported_as_such(self) -> None:
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
        for action, name in ((preprocessing.read, "preprocessor_config.json"), (files.refuse_lfs_pointers, "m.safetensors"),
                             (files.refuse_lfs_pointers, "model-00001-of-00002.safetensors")):
            file = self.write(f"{name}.d/{name}", pointer)
            text = self.fails(action, file.parent)
            self.assertIn(f"{file} is a Git LFS pointer, not the file itself", text)
            self.assertIn("run 'git lfs pull'", text)
        self.assertIn("is a Git LFS pointer", self.fails(task_lists.lines_of, self.write("classes", pointer), "names"))
        files.refuse_lfs_pointer(self.folder / "absent")
        files.refuse_lfs_pointer(self.write("short", "version"))

    # Members

    def test_names_of_members_are_those_that_the_configuration_takes(self) -> None:
        for name in ("a b", "12", "", "x" * 65):
            self.assertIn("cannot be the name of a member", self.fails(member.checked_name, name))
        self.assertEqual(member.checked_name("vit-b.32_x"), "vit-b.32_x")

    def test_a_file_that_does_not_exist_is_made_without_any_package(self) -> None:
        file = self.folder / "e.yaml"
        member.add_to_file(file, member.entry("a", {"model": {"kind": "aoti", "path": "a.pt2"}}, "logits", {"resize": 8}))
        self.assertEqual(file.read_text(), "members:\n  - name: a\n    model: {kind: aoti, path: a.pt2}\n"
                                           "    output: logits\n    input: {resize: 8}\n")

    # Words

    def test_every_command_says_what_it_does_without_any_package(self) -> None:
        environment = {"PYTHONPATH": str(PYTHON), "PATH": os.environ["PATH"]}
        for command in ([], ["model"], ["head"], ["dataset"], ["fusion-bench"]):
            words = [sys.executable, "-S", "-B", "-m", "tutti.export", *command, "--help"]
            answer = subprocess.run(words, env=environment, capture_output=True, text=True)
            self.assertEqual((answer.returncode, answer.stderr), (0, ""))
            self.assertIn("usage:", answer.stdout)

    def test_without_a_package_a_command_says_what_to_install(self) -> None:
        environment = {"PYTHONPATH": str(PYTHON), "PATH": os.environ["PATH"]}
        for words, package in ((["model", "a:b", "--output", "a.pt"], "torch"),
                               (["dataset", __file__, "--output", str(self.folder)], "pyarrow"),
                               (["fusion-bench", __file__], "pyyaml")):
            answer = subprocess.run([sys.executable, "-S", "-B", "-m", "tutti.export", *words], env=environment,
                                    capture_output=True, text=True)
            self.assertEqual(answer.returncode, 2)
            self.assertIn(f"pip install {package}", answer.stderr)


if __name__ == "__main__":
    run_tests()
