"""Ten networks of torchvision with seeded random weights, as factories for `python -m tutti.export model
torchvision_networks:NAME`. Trained weights would cost the same time."""

from __future__ import annotations

from typing import Any, Callable

# Multiplications of an image of 224 x 224, in thousand millions: how many images fill a second.
GIGA_MACS = {"resnet18": 1.8, "resnet50": 4.1, "mobilenet_v3_small": 0.06, "efficientnet_b0": 0.4, "convnext_tiny": 4.5,
             "densenet121": 2.9, "regnet_y_400mf": 0.4, "shufflenet_v2_x1_0": 0.15, "vit_b_16": 17.6, "swin_t": 4.5}
NAMES = tuple(GIGA_MACS)


def __getattr__(name: str) -> Callable[[], Any]:
    """The factory of one of NAMES."""
    if name not in GIGA_MACS:
        raise AttributeError(name)

    def make() -> Any:
        import torch
        import torchvision

        torch.manual_seed(NAMES.index(name))
        network = getattr(torchvision.models, name)(weights=None)
        # Statistics as after training: otherwise the values shrink from layer to layer until they vanish.
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        with torch.no_grad():
            network.train()(torch.randn(4, 3, 224, 224))
        return network.eval()

    return make
