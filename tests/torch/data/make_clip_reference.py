"""Makes the files of this folder that clip_test.cpp compares with: small vision towers of CLIP with random weights, in
each layout in which Hugging Face writes them, and what transformers answers. Not run by the tests; it needs torch,
transformers and safetensors.

    python make_clip_reference.py [FOLDER]
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

IMAGES = 5


def vision(act: str) -> CLIPVisionConfig:
    return CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                            image_size=32, patch_size=8, projection_dim=16, hidden_act=act)


def lively(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Weights as large as a trained model's, biases and norms that are not 0 and 1: nothing may be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + (1 if parameter.dim() == 0 else 0))
    return model.eval()


def prefixed(tensors: dict) -> dict:
    """As transformers up to 4 names them."""
    return {name if name.startswith(("vision_model.", "visual_projection.")) else f"vision_model.{name}": tensor
            for name, tensor in tensors.items()}


def write(folder: Path, config: dict, tensors: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})


def small(config) -> dict:
    """The keys of a config.json that are used."""
    keys = ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
            "patch_size", "projection_dim", "hidden_act", "layer_norm_eps", "num_channels")
    return {key: value for key, value in config.to_dict().items() if key in keys}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "clip"
    images = torch.rand(IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(7)) * 4 - 2
    answers = {"images": images}
    with torch.no_grad():
        tower = lively(CLIPVisionModel(vision("quick_gelu")), 1)
        answers["pooled"] = tower(images).pooler_output
        bare = {name.removeprefix("vision_model."): tensor for name, tensor in tower.state_dict().items()}
        write(folder / "bare", small(tower.config), bare)
        gelu = lively(CLIPVisionModel(vision("gelu")), 1)
        answers["pooled_gelu"] = gelu(images).pooler_output
        (folder / "gelu").mkdir(exist_ok=True)
        (folder / "gelu" / "config.json").write_text(json.dumps(small(gelu.config), indent=1, sort_keys=True) + "\n")

        projecting = lively(CLIPVisionModelWithProjection(vision("quick_gelu")), 2)
        answers["projected"] = projecting(images).image_embeds
        write(folder / "projection", small(projecting.config), prefixed(projecting.state_dict()))

        whole_config = CLIPConfig(text_config={"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
                                               "num_attention_heads": 1, "vocab_size": 10, "max_position_embeddings": 4},
                                  vision_config=vision("quick_gelu").to_dict(), projection_dim=16)
        whole = lively(CLIPModel(whole_config), 3)
        half = {name: tensor.to(torch.bfloat16) for name, tensor in whole.state_dict().items()}
        whole.load_state_dict({name: tensor.float() for name, tensor in half.items()})
        answers["pooled_whole"] = whole.vision_model(images).pooler_output
        shards(folder / "sharded", {"model_type": "clip", "vision_config": small(whole.config.vision_config)}, half)
    save_file({name: tensor.contiguous() for name, tensor in answers.items()}, folder / "answers.safetensors")
    check(folder)


def shards(folder: Path, config: dict, tensors: dict) -> None:
    """Two shards and their index, as save_pretrained writes large models."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: tensors[name].contiguous() for name in part}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in halves.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=0, sort_keys=True) + "\n")


def check(folder: Path) -> None:
    assert "embeddings.class_embedding" in load_file(folder / "bare" / "model.safetensors")
    assert "vision_model.embeddings.class_embedding" in load_file(folder / "projection" / "model.safetensors")


if __name__ == "__main__":
    main()
