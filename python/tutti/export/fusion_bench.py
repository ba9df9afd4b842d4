"""Converts a resolved configuration of FusionBench (method, modelpool, taskpool) to Tutti's YAML, and lists what cannot
be converted.

`fusion_bench --cfg job --resolve ... > resolved.yaml` prints such a configuration. The current form, with _target_, and
the older one, with type, are supported. Nothing is downloaded: the file lists the commands for what is missing.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import preprocessing, task_lists
from .errors import ExportError, counted, first_line, need
from .files import flow, refuse_lfs_pointer, scalar, written_whole

SUMMARY = "FusionBench's resolved YAML into Tutti's"
# CLIP's preprocessing, for towers whose folder has no preprocessor_config.json.
CLIP_INPUT = {"resize": 224, "rule": "shorter", "crop": 224, "crop_rounding": "floor", "interpolation": "bicubic",
              "mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
METHODS = {
    "SimpleEnsembleAlgorithm": "ensemble", "EnsembleAlgorithm": "ensemble",
    "simple_ensemble": "ensemble", "ensemble": "ensemble",
    "WeightedEnsembleAlgorithm": "weighted_ensemble", "weighted_ensemble": "weighted_ensemble",
    "MaxModelPredictorAlgorithm": "max", "MaxPredictorAlgorithm": "max",
    "max_model_predictor": "max", "max_predictor": "max",
    "SimpleAverageAlgorithm": "average", "simple_average": "average",
    "WeightedAverageAlgorithm": "weighted_average", "weighted_average": "weighted_average",
    "TaskArithmeticAlgorithm": "task_arithmetic", "task_arithmetic": "task_arithmetic",
    "TiesMergingAlgorithm": "ties", "ties_merging": "ties",
}
MODEL_POOLS = ("CLIPVisionModelPool", "HuggingFaceClipVisionPool", "huggingface_clip_vision")
TASK_POOLS = ("CLIPVisionModelTaskPool", "CLIPImageClassificationTaskPool", "clip_vit_classification")
# Names without an owner, as the hub has them now.
CANONICAL = {"svhn": "ufldl-stanford/svhn", "mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10",
             "cifar100": "uoft-cs/cifar100"}
# Keys that do not affect the result.
SILENT = {"_target_", "_recursive_", "_version_", "_usage_", "type", "name", "_args_"}
SILENT_TOP = SILENT | {"hydra", "path", "print_config", "print_function_call", "dry_run", "report_save_path",
                       "merged_model_save_kwargs", "use_lightning"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("resolved", type=Path, metavar="RESOLVED.yaml")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the YAML to write; default: print it")
    parser.add_argument("--models", type=Path, default=Path("models/clip"), metavar="FOLDER",
                        help="the folder for the models (%(default)s)")
    parser.add_argument("--heads", type=Path, default=Path("heads"), metavar="FOLDER",
                        help="the folder for the heads (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER",
                        help="the folder for the images (%(default)s)")


@dataclass
class Converted:
    """Tutti's configuration under construction, what was lost, and what to fetch."""

    top: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def lose(self, path: str, value: Any, reason: str) -> None:
        self.lost.append(f"{path}: {flow(value) if not isinstance(value, (dict, list)) else '...'} - {reason}")


def read(file: Path) -> dict[str, Any]:
    """Raises ExportError: unreadable, not a mapping, unresolved, a missing part."""
    yaml = need("yaml", "reading FusionBench's configuration")
    refuse_lfs_pointer(file)
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(f"could not read '{file}': {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExportError(f"'{file}' is not YAML: {first_line(error)}") from None
    if not isinstance(config, dict):
        raise ExportError(f"'{file}' is not a mapping with method, modelpool and taskpool")
    if "defaults" in config:
        raise ExportError(f"'{file}' is not resolved: it has Hydra's 'defaults'",
                          hint="fusion_bench --cfg job --resolve ... > resolved.yaml")
    for part in ("method", "modelpool"):
        if not isinstance(config.get(part), dict):
            raise ExportError(f"'{file}' has no '{part}'", hint="fusion_bench --cfg job --resolve ... prints all of it")
    for path, value in scalars_of({key: config.get(key) for key in ("method", "modelpool", "taskpool")}):
        if isinstance(value, str) and ("${" in value or value == "???"):
            raise ExportError(f"'{file}' is not resolved: {path} is '{value}'",
                              hint="fusion_bench --cfg job --resolve ... > resolved.yaml")
    return config


def scalars_of(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value with its path: ("modelpool.models.sun397", "tanganke/...")."""
    if isinstance(tree, dict):
        entries = [(f"{path}.{key}" if path else str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list):
        entries = [(f"{path}.{number}", value) for number, value in enumerate(tree)]
    else:
        return [(path, tree)]
    return [found for name, value in entries for found in scalars_of(value, name)]


def kind_of(part: dict[str, Any]) -> str:
    """The class's or the type's name."""
    return str(part.get("_target_") or part.get("type") or part.get("name") or "").split(".")[-1]


def lose_others(part: dict[str, Any], name: str, known: set[str], out: Converted) -> None:
    for key, value in part.items():
        if key not in known | SILENT and value not in (None, [], {}, False):
            out.lose(f"{name}.{key}", value, "Tutti has no equivalent here")


# ---- modelpool -----------------------------------------------------------------------------------------------------

def models_of(pool: dict[str, Any]) -> dict[str, str]:
    """Name -> repository or folder, in order. Raises ExportError if a model is given in an unknown way."""
    models = pool.get("models")
    if isinstance(models, list):  # the older form
        models = {entry.get("name"): entry for entry in models if isinstance(entry, dict)}
    if not isinstance(models, dict) or not models:
        raise ExportError("'modelpool.models' lists no models")
    found = {}
    for name, model in models.items():
        if isinstance(model, dict):
            model = model.get("pretrained_model_name_or_path") or model.get("path")
        if not isinstance(model, str):
            raise ExportError(f"'modelpool.models.{name}' names no pretrained model")
        found[str(name)] = model
    return found


def local_folder(model: str, models: Path, out: Converted) -> Path:
    """An existing folder unchanged; for a repository the folder below `models` to download it to."""
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser()
    folder = models / model.rstrip("/").split("/")[-1]
    if not folder.is_dir():
        if Path(model).is_absolute():
            raise ExportError(f"the model folder '{model}' does not exist here")
        out.commands.append(f"hf download {model} --local-dir {folder}")
    return folder


def member_of(name: str, folder: Path) -> dict[str, Any]:
    return {"name": member_name(name), "model": {"kind": "clip-vit", "path": str(folder), "output": "pooled"},
            "output": "features", "input": preprocessing.read(folder) or CLIP_INPUT}


def member_name(name: str) -> str:
    """Tutti's names have no spaces or slashes, and are not only digits."""
    changed = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:64]
    return f"m{changed}" if changed.isdigit() else changed


def convert_models(pool: dict[str, Any], options: argparse.Namespace, out: Converted) -> None:
    if kind_of(pool) not in MODEL_POOLS:
        raise ExportError(f"cannot convert the modelpool '{kind_of(pool)}'; {', '.join(MODEL_POOLS)} are supported",
                          hint="export each model separately: python -m tutti.export model")
    models = models_of(pool)
    base = models.pop("_pretrained_", None)
    for name in [name for name in models if name.startswith("_")]:
        out.lose(f"modelpool.models.{name}", models.pop(name), "a model with a special role")
    if not models:
        raise ExportError("'modelpool.models' has only models with special roles")
    out.top["members"] = [member_of(name, local_folder(model, options.models, out)) for name, model in models.items()]
    if base is not None:
        out.top["base"] = {"kind": "clip-vit", "path": str(local_folder(base, options.models, out))}
    datasets = {"train_datasets", "val_datasets", "test_datasets", "tta_datasets"}  # the taskpool has its own
    lose_others(pool, "modelpool", {"models", "processor", "platform", "models_args", *datasets}, out)


# ---- method --------------------------------------------------------------------------------------------------------

def weights_of(method: dict[str, Any], count: int) -> list[float]:
    """One weight per model; equal ones if none are given. Raises ExportError if their number differs."""
    weights = method.get("weights")
    if weights is None:
        return [1.0 / count] * count
    if not isinstance(weights, list) or len(weights) != count or \
            not all(isinstance(weight, (int, float)) for weight in weights):
        raise ExportError(f"'method.weights' is {flow(weights)}, and there are {count} models")
    return [float(weight) for weight in weights]


def convert_ensemble(kind: str, method: dict[str, Any], out: Converted) -> None:
    members = out.top["members"]
    combine: dict[str, Any] = {"rule": {"ensemble": "mean", "weighted_ensemble": "weighted", "max": "max"}[kind],
                               "over": "features"}
    known = {"device_map"}
    if kind == "weighted_ensemble":
        for member, weight in zip(members, weights_of(method, len(members))):
            member["weight"] = weight
        combine["normalize"] = bool(method.get("normalize", True))
        known |= {"weights", "normalize"}
    out.top["combine"] = combine
    lose_others(method, "method", known, out)


def convert_merge(kind: str, method: dict[str, Any], out: Converted) -> None:
    """FusionBench merges, and evaluates the merged model; `tutti merge` does the same if there are tasks."""
    merge: dict[str, Any] = {"method": {"weighted_average": "weighted"}.get(kind, kind)}
    known: set[str] = {"device_map"}
    if kind == "weighted_average":
        merge["weights"] = weights_of(method, len(out.top["members"]))
        merge["normalize"] = bool(method.get("normalize", True))
        known |= {"weights", "normalize"}
    if kind in ("task_arithmetic", "ties"):
        merge["scaling"] = float(method.get("scaling_factor", 0.3))
        known |= {"scaling_factor"}
        if "base" not in out.top:
            raise ExportError(f"{kind} needs the model that the others were fine-tuned from, and the modelpool has no "
                              "'_pretrained_'")
    if kind == "ties":
        threshold = float(method.get("threshold", 20))
        merge["density"] = threshold / 100 if threshold > 1 else threshold  # per cent there, a part here
        known |= {"threshold", "merge_func"}
        function = method.get("merge_func", "sum")
        if function in ("sum", "mean"):
            merge["disjoint"] = function
        else:
            out.lose("method.merge_func", function, "Tutti's ties takes the sum or the mean of the values whose sign agrees")
    out.top["merge"] = merge
    out.top["combine"] = {"rule": "mean", "over": "features"}
    lose_others(method, "method", known, out)


def convert_method(method: dict[str, Any], out: Converted) -> None:
    kind = METHODS.get(kind_of(method))
    if kind is None:
        raise ExportError(f"cannot convert the method '{kind_of(method)}'",
                          hint="supported: SimpleEnsemble, WeightedEnsemble, MaxModelPredictor, SimpleAverage, "
                          "WeightedAverage, TaskArithmetic, TiesMerging")
    (convert_ensemble if kind in ("ensemble", "weighted_ensemble", "max") else convert_merge)(kind, method, out)
    device_map = method.get("device_map")
    if device_map:
        if not isinstance(device_map, dict):
            raise ExportError(f"'method.device_map' is {flow(device_map)}, and a map from rank to device is needed")
        out.top["device_map"] = device_map


# ---- taskpool ------------------------------------------------------------------------------------------------------

def datasets_of(pool: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Task -> (repository of the images, its configuration, split)."""
    if isinstance(pool.get("tasks"), list):  # the older form
        entries = {task["name"]: task.get("dataset") for task in pool["tasks"] if isinstance(task, dict)}
    else:
        entries = pool.get("test_datasets") or {}
    if not isinstance(entries, dict) or not entries:
        raise ExportError("the taskpool lists no tasks: neither 'test_datasets' nor 'tasks'")
    return {name: _dataset(name, entry) for name, entry in entries.items()}


def _dataset(name: str, entry: Any) -> tuple[str, str, str]:
    if isinstance(entry, str):
        return entry, "", "test"
    if not isinstance(entry, dict):
        raise ExportError(f"the images of task '{name}' are {flow(entry)}, which Tutti does not know")
    for wrapper in ("dataset", "object"):  # the older form
        if isinstance(entry.get(wrapper), dict):
            entry = entry[wrapper]
    words = [*(entry.get("_args_") or []), *[entry[key] for key in ("path", "name") if isinstance(entry.get(key), str)]]
    if not words:
        raise ExportError(f"the images of task '{name}' have neither path nor name")
    repository = CANONICAL.get(str(words[0]), str(words[0]))
    return repository, str(words[1]) if len(words) > 1 else "", str(entry.get("split", "test"))


def convert_tasks(pool: dict[str, Any] | None, options: argparse.Namespace, out: Converted) -> None:
    if not pool or kind_of(pool) in ("DummyTaskPool", "dummy"):
        return
    if kind_of(pool) not in TASK_POOLS:
        out.lose("taskpool", kind_of(pool), f"only {', '.join(TASK_POOLS)} are supported")
        return
    tower = pool.get("clip_model") or pool.get("base_model")
    tower = tower.get("pretrained_model_name_or_path") if isinstance(tower, dict) else tower
    tower = tower or pool.get("base_model")
    if not isinstance(tower, str):
        raise ExportError("the taskpool has no 'clip_model', whose text tower makes the heads")
    text_tower = local_folder(tower, options.models, out)
    tasks = []
    for name, (dataset, configuration, split) in datasets_of(pool).items():
        tasks.append(_task(name, dataset, configuration, split, text_tower, options, out))
    out.top["tasks"] = tasks
    loader = pool.get("dataloader_kwargs") or {}
    batch = loader.get("batch_size", pool.get("batch_size"))
    if isinstance(batch, int):
        out.top |= {"segment_images": max(500, batch), "batch_images": batch}
    if pool.get("fast_dev_run"):
        out.lose("taskpool.fast_dev_run", True, "add `limit: N` to the inputs of the tasks")
    known = {"test_datasets", "tasks", "clip_model", "base_model", "processor", "data_processor", "dataloader_kwargs",
             "batch_size", "num_workers", "dataset_type", "fast_dev_run", "layer_wise_feature_first_token_only",
             "layer_wise_feature_max_num"}
    lose_others(pool, "taskpool", known, out)
    if loader.get("shuffle"):
        out.lose("taskpool.dataloader_kwargs.shuffle", True, "images are evaluated in order; the figures are the same")


def _task(name: str, dataset: str, configuration: str, split: str, tower: Path, options: argparse.Namespace,
          out: Converted) -> dict[str, Any]:
    """The entry of `tasks`, and the commands that make its images and its head."""
    images, head = options.data / member_name(name) / split, options.heads / f"{member_name(name)}.safetensors"
    parquet = options.data / "parquet" / dataset.rstrip("/").split("/")[-1]
    if not images.is_dir():
        source = parquet / configuration if configuration else parquet
        out.commands += [f"hf download {dataset} --repo-type dataset --local-dir {parquet}",
                         f"python -m tutti.export dataset {source} --split {split} --output {images}"]
    if not head.is_file():
        shipped = name.lower().replace("_", "-")
        words = f"--task {shipped}" if shipped in task_lists.known() else "--classes FILE --templates FILE"
        out.commands.append(f"python -m tutti.export head --tower {tower} {words} --output {head}")
    return {"name": member_name(name), "input": {"dataset": "folder", "path": str(images)}, "head": str(head)}


# ---- the whole -----------------------------------------------------------------------------------------------------

def convert(config: dict[str, Any], options: argparse.Namespace) -> Converted:
    """Raises ExportError if there is no way to convert it."""
    out = Converted()
    convert_models(config["modelpool"], options, out)
    convert_method(config["method"], out)
    convert_tasks(config.get("taskpool"), options, out)
    if isinstance(config.get("seed"), int):
        out.top["seed"] = config["seed"]
    for key, value in config.items():
        if key in SILENT_TOP | {"method", "modelpool", "taskpool", "seed"} or value in (None, False, {}, []):
            continue
        reasons = {"fabric": "Tutti has its own processes and devices: device_map, assignment, threads",
                   "merged_model_save_path": "`tutti merge` always saves the model, into its run folder",
                   "fast_dev_run": "add `limit: N` to the inputs of the tasks"}
        out.lose(key, value, reasons.get(key, "Tutti has no equivalent here"))
    return out


def text_of(converted: Converted, source: str) -> str:
    """The YAML: what to do first as comments, then a line per member and task."""
    command = "merge" if "merge" in converted.top else "evaluate" if "tasks" in converted.top else "run"
    lines = [f"# Converted from FusionBench's {source}. Run it: tutti {command} THIS_FILE"]
    if converted.commands:
        commands = dict.fromkeys(converted.commands)  # each once
        lines += ["#", "# First, with network access:"] + [f"#   {line}" for line in commands]
    if converted.lost:
        lines += ["#", "# Not carried over:"] + [f"#   {line}" for line in converted.lost]
    for key, value in converted.top.items():
        if isinstance(value, list):
            lines += [f"{key}:"] + [f"  - {flow(entry)}" for entry in value]
        else:
            lines.append(f"{scalar(key)}: {flow(value)}")
    return "\n".join(lines) + "\n"


def run(options: argparse.Namespace) -> int:
    converted = convert(read(options.resolved), options)
    text = text_of(converted, options.resolved.name)
    if options.output:
        with written_whole(options.output) as partial:
            partial.write_text(text, encoding="utf-8")
        print(f"{options.output}: {counted(len(converted.top['members']), 'member')}, "
              f"{counted(len(converted.top.get('tasks', [])), 'task')}")
        for line in converted.lost:
            print(f"not carried over: {line}")
    else:
        print(text, end="")
    return 0
