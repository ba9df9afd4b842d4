"""Builds the zero-shot head of a task from a CLIP text tower: each class name goes through all prompt templates; the
embeddings are normalised, averaged, and normalised again.

CLIP's authors do this for their zero-shot figures, and so does FusionBench's HFCLIPClassifier. merge/head.hpp describes
the file: weight [classes, width], projection [width, features], scale, and metadata.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from . import hub, task_lists
from .errors import DoesNotAgree, ExportError, counted, first_line, need
from .files import refuse_lfs_pointers, written_whole
from .parquet_sets import class_names_of
from .sources import quiet_transformers

SUMMARY = "a zero-shot head from a CLIP text tower"
TOLERANCE = 1e-4  # of logits, which reach 100 with CLIP's scale


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tower", required=True, metavar="FOLDER",
                        help="a CLIPModel with its tokenizer: a local folder or hf:owner/name")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--task", metavar="NAME", help=f"templates and classes that come with Tutti: "
                        f"{', '.join(task_lists.known())}")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names, one per line, in label order")
    parser.add_argument("--classes-from", metavar="PARQUET",
                        help="the class names of an image set: a parquet file, a folder of them, or hf:datasets/...")
    parser.add_argument("--templates", type=Path, metavar="FILE",
                        help=f"prompts, one per line, each with {{}}; default: the task's, or "
                        f"'{task_lists.DEFAULT_TEMPLATES[0]}'")
    parser.add_argument("--features", choices=["pooled", "projected"], default="pooled",
                        help="the towers' output: pooled features, which the head projects first (%(default)s), "
                        "or projected ones")


def lists_of(options: argparse.Namespace) -> task_lists.TaskLists:
    """The classes and templates of the options: the user's files take precedence over the task's."""
    shipped = task_lists.task(options.task) if options.task else task_lists.TaskLists([], [])
    if options.classes and options.classes_from:
        raise ExportError("--classes and --classes-from cannot be combined")
    classes = shipped.classes
    if options.classes:
        classes = task_lists.lines_of(options.classes, "class names")
    elif options.classes_from:
        classes = class_names_of(options.classes_from)
    if not classes:
        raise ExportError("no classes are given", hint="--classes-from PARQUET takes them from the image set itself, --classes FILE from "
                          "a text file; the order must be that of the labels")
    templates = task_lists.lines_of(options.templates, "templates") if options.templates else shipped.templates
    templates = templates or list(task_lists.DEFAULT_TEMPLATES)
    task_lists.check_classes(classes)
    task_lists.check_templates(templates)
    return task_lists.TaskLists(templates, classes)


def load_clip(folder: Path) -> tuple[Any, Any]:
    """CLIPModel in float32 and its tokenizer. Raises ExportError naming the folder."""
    transformers = quiet_transformers("a CLIP text tower")
    need("torch", "a CLIP text tower")
    refuse_lfs_pointers(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ExportError(f"'{folder}' has no readable config.json: {first_line(error)}") from None
    if config.get("model_type") != "clip":
        raise ExportError(f"'{folder}' is not a CLIPModel: its model_type is '{config.get('model_type')}'",
                          hint="a fine-tuned vision tower has no text tower; name the model that it was "
                          "fine-tuned from")
    try:
        model, told = transformers.CLIPModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ExportError(f"cannot load '{folder}' as a CLIPModel with a tokenizer: {first_line(error)}") from None
    missing = sorted(told["missing_keys"])
    if missing:  # transformers would initialise them with random numbers
        raise ExportError(f"'{folder}' lacks {counted(len(missing), 'tensor')} of a CLIPModel: {', '.join(missing[:3])}")
    return model.float().eval(), tokenizer


def text_embeddings(model: Any, tokenizer: Any, classes: list[str], templates: list[str]) -> Any:
    """Tensor [classes, width], rows of length 1. Raises ExportError if a prompt is too long for the tower."""
    torch = need("torch", "a CLIP text tower")
    longest = model.config.text_config.max_position_embeddings
    rows = []
    with torch.no_grad():
        for name in classes:
            tokens = tokenizer([template.replace("{}", name) for template in templates], return_tensors="pt",
                               padding=True)
            if tokens["input_ids"].shape[1] > longest:
                raise ExportError(f"the prompts of the class '{name}' have up to {tokens['input_ids'].shape[1]} tokens, "
                                  f"and the text tower takes {longest}", hint="shorten the name or the templates")
            pooled = model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])[1]
            each = torch.nn.functional.normalize(model.text_projection(pooled), dim=-1)
            rows.append(torch.nn.functional.normalize(each.mean(dim=0), dim=-1))
    weight = torch.stack(rows)
    if not torch.isfinite(weight).all():
        raise ExportError("the text embeddings have NaN or infinity, so the tower's weights are broken")
    return weight


def tower_digest(model: Any) -> str:
    """16 digits that are equal for two heads exactly if the text tower and the projections were the same."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(("text_model.", "text_projection.", "visual_projection.", "logit_scale")):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def head_tensors(model: Any, weight: Any, features: str) -> dict[str, Any]:
    """The tensors of merge/head.hpp, float32."""
    tensors = {"weight": weight, "scale": model.logit_scale.detach().exp()}
    if features == "pooled":
        tensors["projection"] = model.visual_projection.weight.detach()
    return {name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}


def apply_head(tensors: dict[str, Any], features: Any) -> Any:
    """Logits [images, classes] of features [images, features], as merge/head.hpp defines them with `normalize`."""
    if "projection" in tensors:
        features = features @ tensors["projection"].T
    features = features / features.norm(dim=-1, keepdim=True)
    return features @ tensors["weight"].T * tensors["scale"]


def check_against_model(model: Any, tensors: dict[str, Any]) -> float:
    """The largest difference between the head's logits and those of the model itself, over made-up images."""
    torch = need("torch", "a CLIP text tower")
    vision = model.config.vision_config
    images = torch.randn(4, vision.num_channels, vision.image_size, vision.image_size,
                         generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=images)[1]
        projected = model.visual_projection(pooled)
        cosines = torch.nn.functional.normalize(projected, dim=-1) @ tensors["weight"].T
        expected = cosines * model.logit_scale.exp()
        found = apply_head(tensors, pooled if "projection" in tensors else projected)
    return (found - expected).abs().max().item()


def run(options: argparse.Namespace) -> int:
    lists = lists_of(options)
    folder = hub.resolve(options.tower)
    safetensors_torch = need("safetensors.torch", "writing a head")
    model, tokenizer = load_clip(folder)
    weight = text_embeddings(model, tokenizer, lists.classes, lists.templates)
    tensors = head_tensors(model, weight, options.features)
    # No path and no name: comparing this text tells whether two heads are of one tower, wherever the tower was.
    metadata = {"classes": json.dumps(lists.classes, ensure_ascii=False), "normalize": "true",
                "tower": f"clip-{weight.shape[1]} {tower_digest(model)}",
                "templates": json.dumps(lists.templates, ensure_ascii=False)}
    difference = check_against_model(model, tensors)
    if not difference <= TOLERANCE:  # also true for NaN
        raise DoesNotAgree(f"the head's logits differ from the model's by {difference:.2g}, more than {TOLERANCE:g}")
    with written_whole(options.output) as partial:
        safetensors_torch.save_file(tensors, partial, metadata=metadata)
    width = model.visual_projection.weight.shape[1] if options.features == "pooled" else weight.shape[1]
    print(f"{options.output}: {counted(len(lists.classes), 'class')} x {counted(len(lists.templates), 'template')}, takes "
          f"{counted(width, 'feature')}, logits differ from the model's by at most {difference:.2g}")
    return 0
