"""Modules of PyTorch that cannot be exported as TorchScript or AOTInductor packages."""

import importlib
import os
import warnings

from . import threads


def module(make, arguments=None, weights=None):
    """Calls `make`, such as `my_nets:Net`, with `arguments`, and loads the state dict in `weights` (.pt or .safetensors).
    The module is put into evaluation mode."""
    name, _, function = make.rpartition(":")
    if not name:
        raise ValueError(f"'make' must be a module and a class or function, such as my_nets:Net, not '{make}'")
    built = getattr(importlib.import_module(name), function)(**(arguments or {}))
    if weights is not None:
        built.load_state_dict(state_of(weights))
    return wrap(built)


def state_of(path):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file '{path}'; relative paths start at the current folder")
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def wrap(built, entry=None):
    """A function of a batch for a torch.nn.Module: its tensors share the memory of the samples, and it computes without
    gradients, with the threads of the worker. `entry`: the key or the place of the output to use, if there are several."""
    import torch

    torch.set_num_threads(threads())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    built = built.eval().to(device)

    def predict(*samples, **named):
        with torch.inference_mode():
            output = built(*map(tensor_of, samples), **{name: tensor_of(array) for name, array in named.items()})
            return output if entry is None else output[entry]

    def tensor_of(array):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it cannot be written to
            return torch.from_numpy(array).to(device)

    return predict
