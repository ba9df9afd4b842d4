"""A small U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015),
whose first step makes one place of four pixels, and whose last step makes four pixels of one place."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

TILE = 64  # the side of what it is trained on; any multiple of 8 will do


def block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(4, after), nn.LeakyReLU(0.1),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.GroupNorm(4, after), nn.LeakyReLU(0.1))


class UNet(nn.Module):
    """Logits, classes x height x width, of pictures of 3 x height x width with values from 0 to 1."""

    def __init__(self, classes: int, channels: int = 8) -> None:
        super().__init__()
        self.top, self.middle = block(12, channels), block(channels, 2 * channels)
        self.bottom = block(2 * channels, 4 * channels)
        self.middle_up, self.top_up = block(6 * channels, 2 * channels), block(3 * channels, channels)
        self.head = nn.Conv2d(channels, 4 * classes, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        top = self.top(functional.pixel_unshuffle(4 * pictures - 2, 2))
        middle = self.middle(functional.max_pool2d(top, 2))
        bottom = self.bottom(functional.max_pool2d(middle, 2))
        middle = self.middle_up(torch.cat([middle, functional.interpolate(bottom, scale_factor=2.0)], 1))
        top = self.top_up(torch.cat([top, functional.interpolate(middle, scale_factor=2.0)], 1))
        return functional.pixel_shuffle(self.head(top), 2)


trained_network: UNet | None = None


def trained() -> UNet:
    """For `tutti.export model segmentation.unet:trained`: the network that was trained last in this process."""
    assert trained_network is not None
    return trained_network
