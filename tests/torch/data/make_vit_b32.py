"""Makes a vision tower of CLIP of the size of ViT-B/32 with random weights, and what transformers answers to three
images.

    python make_vit_b32.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    model = CLIPVisionModel(CLIPVisionConfig()).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # biases, norms and the class token: not 0 and 1
                parameter.add_(torch.randn_like(parameter) * 0.1)
        images = torch.randn(3, 3, 224, 224)
        pooled = model(images).pooler_output
    model.save_pretrained(folder / "vit-b32")
    save_file({"images": images, "pooled": pooled.contiguous()}, folder / "answers.safetensors")


if __name__ == "__main__":
    main()
