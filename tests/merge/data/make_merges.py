"""Writes the checkpoints and merged results that merging_test.cpp compares with, computed by PyTorch.

The formulas are written again here, with whole tensors in memory: the trimming of TIES as its authors' code does it
(kthvalue over the flattened task vector), slerp as mergekit does it. Run in this folder; needs torch and safetensors.
"""

import torch
from safetensors.torch import save_file

torch.manual_seed(7)
FORMS = {"embed.weight": ((13, 7), torch.float32), "fc.weight": ((5, 11), torch.float32),
         "half.weight": ((6, 9), torch.float16), "brain.weight": ((6, 9), torch.bfloat16), "scale": ((), torch.float32)}


def made(like=None):
    state = {}
    for name, (shape, dtype) in FORMS.items():
        noise = torch.randn(shape)
        state[name] = (noise if like is None else like[name].float() + 0.3 * noise).to(dtype)
    return state | {"steps": torch.tensor([3, 5])}


base = made()
tuned = [made(base) for _ in range(3)]
floating = sorted(FORMS)


def result(values):
    return {name: values(name).to(FORMS[name][1]).contiguous() for name in floating} | {"steps": base["steps"].clone()}


def changes(name):
    return torch.stack([state[name].float() - base[name].float() for state in tuned])


def average(name):
    return sum(state[name].float() for state in tuned) / len(tuned)


def weighted(name):
    return sum(weight / 6 * state[name].float() for weight, state in zip((1, 2, 3), tuned))


def task_arithmetic(name):
    return base[name].float() + 0.4 * changes(name).sum(0)


def ties(disjoint):
    vectors = torch.stack([torch.cat([(state[name].float() - base[name].float()).flatten() for name in floating])
                           for state in tuned])
    size = vectors.shape[1]
    threshold = vectors.abs().kthvalue(size - int(size * 0.2), dim=1, keepdim=True).values
    kept = vectors * (vectors.abs() >= threshold)
    sign = kept.sum(0).sign()
    agreeing = kept * (kept.sign() == sign)
    merged = agreeing.sum(0)
    if disjoint == "mean":
        merged = merged / (agreeing != 0).sum(0).clamp(min=1)
    parts = dict(zip(floating, merged.split([base[name].numel() for name in floating])))
    return lambda name: base[name].float() + 0.7 * parts[name].reshape(base[name].shape)


def slerp(name, t=0.3):
    first, second = (state[name].double() for state in tuned[:2])
    cosine = ((first / first.norm()) * (second / second.norm())).sum()
    if cosine.abs() > 0.9995:
        return (1 - t) * first + t * second
    angle = torch.acos(cosine)
    return torch.sin((1 - t) * angle) / torch.sin(angle) * first + torch.sin(t * angle) / torch.sin(angle) * second


save_file(base, "base.safetensors")
for rank, state in enumerate(tuned):
    save_file(state, f"tuned-{rank}.safetensors")
for name, values in {"average": average, "weighted": weighted, "task_arithmetic": task_arithmetic,
                     "ties-mean": ties("mean"), "ties-sum": ties("sum"), "slerp": slerp}.items():
    save_file(result(values), f"merged-{name}.safetensors")
