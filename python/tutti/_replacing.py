"""New versions of members: from a model, a text or a module to the description that the library takes."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core, _description, _ensemble
from ._errors import UsageError

if TYPE_CHECKING:
    from ._ensemble import Ensemble
    from ._modules import Exported


def replace(ensemble: Ensemble, name: str, model: Any, format: str, tolerance: float,
            settings: Mapping[str, Any]) -> None:
    """See Ensemble.replace_member."""
    ensemble._check_here()
    with ensemble._replacing:  # the description that changes is that of the last change
        ensemble._check_open()
        ranks = {member.name: rank for rank, member in enumerate(ensemble.status().members)}
        if name not in ranks:
            raise UsageError(f"there is no member {name!r} to replace", hint=f"the members are {', '.join(ranks)}")
        if hasattr(model, "state_dict") or isinstance(model, type):
            _replace_by_module(ensemble, name, ranks[name], model, format, tolerance, settings)
            return
        _replace(ensemble, name, ranks[name], _text_of(model), settings)
        if model is not None:
            _note(ensemble, name, None, None)


def _text_of(model: Any) -> str | None:
    if model is None:
        return None
    if isinstance(model, Mapping):
        return _description.flow(dict(model), "model")
    if isinstance(model, str) and _description.is_text(model):
        return model
    raise UsageError(f"a model cannot be {model!r}" if isinstance(model, str) else
                     f"a model cannot be a {type(model).__name__}", "it is a dict, YAML text, or a module of torch",
                     'for a file: {"kind": "torchscript", "path": "b.pt"}')


def _replace(ensemble: Ensemble, name: str, rank: int, model: str | None, settings: Mapping[str, Any]) -> None:
    runner = ensemble._runner
    changes = [] if model is None else [f"members.{rank}.model={model}"]
    changes += [f"members.{rank}.{change}" for change in _description.overrides_of(settings)]
    runner.replace_member(name, _core.parse_spec(runner.spec.yaml, changes))


def _replace_by_module(ensemble: Ensemble, name: str, rank: int, module: Any, format: str,
                       tolerance: float, settings: Mapping[str, Any]) -> None:
    """The files are there until the member is replaced again, or the ensemble is closed."""
    folder = Path(tempfile.mkdtemp(prefix="tutti-"))
    remove = weakref.finalize(ensemble._runner, _ensemble._remove_folder, folder, os.getpid())
    try:
        exported = _exported(ensemble, name, module, rank, folder, format, tolerance)
        _replace(ensemble, name, rank, _description.flow(exported.model()), settings)
    except BaseException:
        if str(folder) in ensemble._runner.spec.yaml:  # it had taken over before Ctrl-C
            _note(ensemble, name, exported, remove)
        else:
            remove()
        raise
    _note(ensemble, name, exported, remove)


def _note(ensemble: Ensemble, name: str, exported: Exported | None, remove: weakref.finalize | None) -> None:
    """The member was replaced: what was exported for the version before is not needed any more, unless it is used
    still."""
    ensemble.exports = [one for one in ensemble.exports if one.name != name] + ([exported] if exported else [])
    before = ensemble._folders.get(name)
    found = before.peek() if before else None
    if before and not (found and str(found[2][0]) in ensemble._runner.spec.yaml):
        del ensemble._folders[name]
        before()
    if remove:
        ensemble._folders[name] = remove
        if ensemble._runner.is_closed:  # close() may not have seen it
            remove()


def _exported(ensemble: Ensemble, name: str, module: Any, rank: int, folder: Path, format: str,
              tolerance: float) -> Exported:
    from . import _modules

    shapes = ensemble._runner.shapes()
    if len(shapes) != 1:
        raise UsageError("a module is exported for one image per sample, and the samples of this ensemble are others",
                         hint='export it by yourself, and pass {"kind": "torchscript", "path": "b.pt"}')
    found = _modules.named({name: module})
    formats, reason = _modules.formats_to_try(format, ensemble.status().members[rank].device)
    return _modules.export(found, _modules.shape_of(shapes[0], None), folder, formats=formats, reason=reason,
                           tolerance=tolerance)[0]
