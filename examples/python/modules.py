"""Three networks of torch become an ensemble. Each is exported to TorchScript and computed by a process of its own; format
"auto" would compile them with AOTInductor, which takes a minute or so for each."""

import numpy
import torch
import tutti


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(5),
                               torch.nn.Flatten(), torch.nn.Linear(200, 10))


def main() -> None:
    modules = [network(seed) for seed in range(3)]
    images = torch.rand(100, 3, 32, 32)
    with tutti.Ensemble.from_modules(modules, example=images, format="pt", save_members=True) as ensemble:
        p = ensemble.predict(images)
    with torch.no_grad():
        mean = torch.stack([module(images).softmax(1) for module in modules]).mean(0).numpy()
    print("members:", ", ".join(p.members))
    print("largest difference to a loop in torch:", f"{numpy.abs(p.values - mean).max():.1e}")


if __name__ == "__main__":
    main()
