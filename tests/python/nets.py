"""Factories of small modules, as a user has them; for tests of `tutti.export model`."""

from __future__ import annotations

import torch
from torch import nn


class Mlp(nn.Module):
    def __init__(self, activation=torch.relu) -> None:
        super().__init__()
        self.fc1, self.fc2, self.activation = nn.Linear(48, 16), nn.Linear(16, 5), activation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(images.flatten(1))))


class SmallCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3)
        self.fc1, self.fc2 = nn.Linear(1024, 64), nn.Linear(64, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc2(self.fc1(self.conv3(x).relu().flatten(1)).relu())


class Several(nn.Module):
    def __init__(self, form: str) -> None:
        super().__init__()
        self.body, self.form = nn.Linear(48, 5), form

    def forward(self, images: torch.Tensor):
        first = self.body(images.flatten(1))
        if self.form == "dict":
            return {"last_hidden_state": images, "pooler_output": first * 2}
        return (first, first.tanh()) if self.form == "tuple" else {"what": "text"} if self.form == "text" else "text"


class Residual(nn.Module):
    """BatchNorm and dropout, as networks for images have them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6, momentum=None)
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(6 * 16, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.bn1(self.conv1(images)))
        second = torch.relu(self.bn2(self.conv2(self.dropout(first))) + first)
        return self.fc(self.dropout(nn.functional.adaptive_avg_pool2d(second, 4).flatten(1)))


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(48, 48), nn.Linear(48, 48)
        self.b.weight = self.a.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.b(self.a(images.flatten(1)).relu())


class FixedBatch(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(2, 48)


class Branches(nn.Module):
    """Tracing keeps only one branch."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if images.shape[0] == 2 else images.flatten(1) * 2


class WidthOfBatch(nn.Module):
    """Tracing keeps the width that two images have."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) if images.shape[0] == 2 else images.flatten(1)[:, :5]


class LengthOfBatch(nn.Module):
    """Tracing keeps the number of images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.reshape(len(images), 48)


class Unscriptable(nn.Module):
    def forward(self, images, **more):
        return images.flatten(1)


class NoOnnx(nn.Module):
    """ONNX has no such operator."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(images.flatten(1))


class Attentive(nn.Module):
    """As the vision transformers of torchvision are built, whose layers PyTorch computes by a fused operator."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(16, 2, batch_first=True), nn.Linear(16, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = images.flatten(2)  # [n, 3, 16]
        return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


class OneForAll(nn.Module):
    """Its output does not count the images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1).mean(0)


class WithSides(nn.Module):
    """Several tensors."""

    def forward(self, images: torch.Tensor):
        return images, images * 2


class First(nn.Module):
    def forward(self, pair) -> torch.Tensor:
        return pair[0]


def mlp() -> nn.Module:
    torch.manual_seed(1)
    return Mlp()


def residual(seed: int = 5) -> nn.Module:
    torch.manual_seed(seed)
    model = Residual()
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.1, 0.1)
    return model


def tanh_mlp() -> nn.Module:
    return Mlp(torch.tanh)


def small_cnn() -> nn.Module:
    torch.manual_seed(2)
    return SmallCnn()


def one_for_all() -> nn.Module:
    return OneForAll()


def answers_dict() -> nn.Module:
    return Several("dict")


def answers_tuple() -> nn.Module:
    return Several("tuple")


def answers_text() -> nn.Module:
    return Several("")


def answers_dict_of_text() -> nn.Module:
    return Several("text")


def tied() -> nn.Module:
    torch.manual_seed(2)
    return Tied()


def fixed_batch() -> nn.Module:
    return FixedBatch()


def branches() -> nn.Module:
    return Branches()


def width_of_batch() -> nn.Module:
    return WidthOfBatch()


def length_of_batch() -> nn.Module:
    return LengthOfBatch()


def attentive() -> nn.Module:
    torch.manual_seed(9)
    return Attentive()


def no_onnx() -> nn.Module:
    return NoOnnx()


def unscriptable() -> nn.Module:
    return Unscriptable()


def answers_nan() -> nn.Module:
    model = Mlp()
    with torch.no_grad():
        model.fc2.bias.fill_(float("nan"))
    return model


def no_module() -> int:
    return 3


def failing() -> nn.Module:
    raise ValueError("no such weights")


def layered() -> nn.Module:
    """Seven layers, in an nn.Sequential with another one inside."""
    torch.manual_seed(3)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    return nn.Sequential(body, nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.Flatten(1), nn.Linear(64, 5))


def layered_with_sides() -> nn.Module:
    return nn.Sequential(nn.Flatten(1), WithSides(), First(), nn.Linear(48, 5))
