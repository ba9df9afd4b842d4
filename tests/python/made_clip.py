"""Makes randomly initialised CLIP models, with a tokenizer and preprocessing, as Hugging Face folders; for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TINY = {"hidden": 32, "intermediate": 64, "layers": 2, "heads": 2, "image": 32, "patch": 8, "projection": 16}
VIT_B_32 = {"hidden": 768, "intermediate": 3072, "layers": 12, "heads": 12, "image": 224, "patch": 32, "projection": 512}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def write_tokenizer(folder: Path) -> int:
    """A tokenizer of single characters: no merges. Answers the size of its vocabulary."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.save_pretrained(folder)
    return len(tokens)


def write_preprocessing(folder: Path, size: int) -> None:
    """As CLIP's processor: bicubic to the shorter side, centre crop, normalise."""
    config = {"crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_convert_rgb": True,
              "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": MEAN, "image_std": STD,
              "image_processor_type": "CLIPImageProcessor", "resample": 3, "rescale_factor": 1 / 255,
              "size": {"shortest_edge": size}}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))


def config_of(form: dict[str, int], vocabulary: int) -> Any:
    from transformers import CLIPConfig

    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "vocab_size": vocabulary, "max_position_embeddings": 77, "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    vision = {"hidden_size": form["hidden"], "intermediate_size": form["intermediate"],
              "num_hidden_layers": form["layers"], "num_attention_heads": form["heads"], "image_size": form["image"],
              "patch_size": form["patch"]}
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=form["projection"])


def shaken(model: Any, seed: int, strength: float = 0.05) -> Any:
    """`model` with noise on every tensor: fresh ones have zero biases and unit norms, which hide mistakes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += strength * torch.randn(tensor.shape, generator=generator)
    return model.eval()


def write_clip(folder: Path, form: dict[str, int] = TINY, seed: int = 0) -> Any:
    """A whole CLIPModel with tokenizer and preprocessing; returns the model."""
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    vocabulary = write_tokenizer(folder)
    torch.manual_seed(seed)
    model = shaken(transformers.CLIPModel(config_of(form, vocabulary)), seed)
    model.save_pretrained(folder)
    write_preprocessing(folder, form["image"])
    return model


def write_fine_tuned(folder: Path, base: Any, seed: int, strength: float = 0.02) -> Any:
    """A CLIPVisionModel at distance `strength` from the vision tower of `base`; returns the model."""
    from transformers import CLIPVisionModel

    model = CLIPVisionModel(base.config.vision_config)
    tower = {name.removeprefix("vision_model."): tensor.clone() for name, tensor in base.state_dict().items()
             if name.startswith("vision_model.")}
    wanted = set(model.state_dict())
    if not wanted <= set(tower):  # transformers 4 keeps the prefix
        tower = {f"vision_model.{name}": tensor for name, tensor in tower.items()}
    model.load_state_dict({name: tower[name] for name in wanted})
    shaken(model, seed, strength).save_pretrained(folder)
    write_preprocessing(folder, base.config.vision_config.image_size)
    return model
