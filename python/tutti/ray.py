"""An ensemble on a Ray cluster: one coordinator with its workers on each node, over a Ray Data set (docs/scaling.md).

Ray places the actors, moves the blocks, and does lost ones again. Tutti only says which rows belong together, so that
the bytes are those of one machine. Importing this imports Ray; importing `tutti` does not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

try:
    import numpy
    import pyarrow
    import ray
    from ray.data import ActorPoolStrategy
    from ray.data.extensions import ArrowTensorArray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ImportError(f"tutti.ray needs Ray: pip install 'ray[data]' ({error})") from None

from . import _core
from ._ensemble import Ensemble, _spec_of
from ._errors import FailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from ray.data import Dataset, Schema

    from ._description import Description

_MEMBER = "member."  # the beginning of the names of columns with members' own predictions
_ANSWER_S = 60.0  # how long nodes have to say what they are
_MAY_DIFFER = ("processor", "instructions", "threads of ", "device of ", "environment ")  # with mixed=True
_UNFIT = "nodes of the Ray cluster cannot run this ensemble, or not with the same bytes"
_UNFIT_HINT = "give all nodes the same Tutti, files and processors; mixed=True allows other processors and threads"


def predict(dataset: Dataset, description: Description, overrides: Iterable[str] = (), *,
            columns: str | Mapping[str, str] | None = None, keep: Sequence[str] | None = None,
            rows: int | None = None, parts: int | Sequence[Sequence[str]] = 1,
            actors: int | tuple[int, int] | None = None, mixed: bool = False, num_cpus: float = 1,
            num_gpus: float = 0, resources: Mapping[str, float] | None = None, **options: Any) -> Dataset:
    """Predicts every row of a Ray data set, once the result is consumed or written. Now, only the nodes are looked at.

    Parameters
    ----------
    dataset : ray.data.Dataset
        Its columns of tensors are the samples. It is cut into blocks of `rows`, in the order of its rows.
    description, overrides
        As for `tutti.Ensemble`. The files that it names are on every node, with the same content.
    columns : str or mapping, optional
        The column of the samples, or {input: column}. By default columns are called as inputs: "image". A column of
        bytes holds encoded pictures, if the `input` has a `resize`.
    keep : sequence of str, optional
        The other columns that the result has; by default all.
    rows : int, optional
        Rows of a block, which are one call: a multiple of the segment. By default two segments.
    parts : int or sequence of sequences of str, optional
        For members too many for one node: the names of those that run together. A number divides them evenly.
    actors : int or (int, int), optional
        How many run the ensemble, or each part of it; Ray chooses between two numbers. By default one for each node
        that has what one needs, divided by the number of parts. They must leave a CPU of the cluster free.
    mixed : bool
        Allow nodes with other processors, threads or devices: the last bits of a row then depend on its node.
    num_cpus, num_gpus, resources, **options
        What Ray reserves for an actor with its workers, and more of its options. The GPUs of an actor start at cuda:0.

    Returns
    -------
    ray.data.Dataset
        In the order of the rows, as in `tutti.Predictions`: `values`, `predicted`, `spread`, `member.<name>`. And
        `members_present`, int32: how many members predicted the row.

    Raises
    ------
    UsageError, FailedError
        If the columns do not fit, or nodes lack Tutti, a file, a device or room, differ, or do not answer. What is
        found later is in the text of an exception of Ray.
    """
    spec = _core.settled(_spec_of(description, [*overrides]))
    names = _columns_of(spec, columns)
    _check_schema(dataset.schema(fetch_if_missing=False), spec, names, keep)
    segment = _core.segment_images(spec)
    rows = rows or 2 * segment
    if rows < 1 or rows % segment:
        raise UsageError(f"a block of {rows} rows is not a multiple of {segment}, the images of a segment",
                         "the last bits of predictions depend on where segments end",
                         f"rows={max(1, round(rows / segment)) * segment}")
    divided = _parts_of(spec, parts)
    needs = {"num_cpus": num_cpus, "num_gpus": num_gpus, "resources": dict(resources or {}), **options}
    nodes = _nodes_for(needs)
    least, most = actors if isinstance(actors, tuple) else [actors or max(1, len(nodes) // len(divided))] * 2
    _check_room(needs, len(divided), least)
    seen = _look_at_nodes(nodes, divided, needs, mixed)
    for part, expected in zip(divided, seen):
        dataset = dataset.repartition(target_num_rows_per_block=rows, strict=True).map_batches(
            _Pool, batch_size=None, batch_format="pyarrow",  # may change the rows, else a limit would go before the cut
            fn_constructor_args=(part.yaml, expected, mixed, names, keep, part is divided[-1],
                                 spec.yaml if len(divided) > 1 else None),
            compute=ActorPoolStrategy(min_size=least, max_size=most, max_concurrent_calls_per_actor=2,
                                      enable_true_multi_threading=True),
            **needs)
    dataset.context.execution_options.preserve_order = True  # else blocks are cut from rows as they come
    return dataset


def _columns_of(spec: _core.Spec, columns: str | Mapping[str, str] | None) -> dict[str, str]:
    """The column of each input."""
    inputs = [name for name, _, _ in _core.sample_of(spec)] or ["image"]
    columns = {name: name for name in inputs} if columns is None else columns
    found = {inputs[0]: columns} if isinstance(columns, str) else dict(columns)
    if {*found} != {*inputs}:
        raise UsageError("the columns are not those of the ensemble's inputs",
                         f"columns of: {', '.join(found)}; inputs: {', '.join(inputs)}",
                         "pass columns={input: column, ...}")
    return found


def _check_column(name: str, there: Iterable[str]) -> None:
    if name not in there:
        raise UsageError(f"the data set has no column '{name}'", f"it has {', '.join(there)}",
                         "pass columns='...' with the column of the samples, and keep=[...] with others")


def _check_schema(schema: Schema | None, spec: _core.Spec, names: Mapping[str, str],
                  keep: Sequence[str] | None) -> None:
    """What is known of the data set before it is read: not what functions of the user make of it."""
    if schema is None:
        return
    there = dict(zip(schema.names, schema.types))
    for name in [*names.values(), *(keep or ())]:
        _check_column(name, there)

    def text(shape: Iterable[int], dtype: str) -> str:
        return ("x".join(map(str, shape)) or "1") + f" of {dtype}"

    for name, dtype, shape in _core.sample_of(spec):
        kind = there[names[name]]
        if not hasattr(kind, "shape") and not (isinstance(kind, pyarrow.DataType) and
                                               pyarrow.types.is_primitive(kind)):
            continue  # told by the first block
        dims, value = [*getattr(kind, "shape", ())], getattr(kind, "value_type", kind)
        types = {dtype, "uint8"} if name == "image" and dtype == "float32" else {dtype}
        if dims != [*shape] or numpy.dtype(value.to_pandas_dtype()).name not in types:
            raise UsageError(f"the samples of column '{names[name]}' do not fit the ensemble",
                             f"they are {text(dims, value)}, and the ensemble takes {text(shape, dtype)}",
                             "convert them: dataset.map_batches(...), or change 'input'")


def _parts_of(spec: _core.Spec, parts: int | Sequence[Sequence[str]]) -> list[_core.Spec]:
    """A description of each part; the whole if there is one."""
    members = _core.member_names(spec)
    if isinstance(parts, int):
        if not 1 <= parts <= len(members):
            raise UsageError(f"{len(members)} members cannot be divided into {parts} parts")
        parts = [[members[rank] for rank in ranks] for ranks in numpy.array_split(range(len(members)), parts)]
    if sorted(name for part in parts for name in part) != sorted(members):
        raise UsageError("the parts do not have every member once", f"parts: {parts}; members: {', '.join(members)}")
    ranks = [[members.index(name) for name in part] for part in parts]
    return [spec] if len(ranks) == 1 else [_core.part_of(spec, part) for part in ranks]


def _look() -> Any:
    """A function that says what a node predicts with. It travels as it is, since a node may have another Tutti."""
    def look(parts: list[str], version: str) -> tuple[str, list[dict[str, str]]]:
        import importlib.metadata
        import sys

        try:
            from tutti import _core, _errors
        except ImportError as error:
            return f"it cannot import tutti: {error} ({sys.executable})", []
        found = getattr(_core, "version", "older")
        if found != version:
            return f"it has Tutti {found}, and this program has {version} ({_core.__file__})", []
        try:
            specs = [_core.parse_spec(yaml, []) for yaml in parts]
            seen = [dict(_core.fingerprint(spec)) for spec in specs]
        except _errors.Error as error:
            return str(error), []
        for spec, lines in zip(specs, seen):
            for package in spec.libraries():  # one that is missing is told by Ensemble
                for found in importlib.metadata.distributions(name=package):
                    lines["package " + package] = found.version
        return "", seen

    return look


def _differences(here: list[dict[str, str]], first: Sequence[Mapping[str, str]], mixed: bool) -> str:
    """In what a node differs from the first one, over all parts."""
    lines = {f"{name} is {ours.get(name, 'nothing')} instead of {theirs.get(name, 'nothing')}"
             for ours, theirs in zip(here, first) for name in {*ours, *theirs}
             if ours.get(name) != theirs.get(name) and not (mixed and name.startswith(_MAY_DIFFER))}
    return "; ".join(sorted(lines))


def _wanted(needs: Mapping[str, Any]) -> dict[str, float]:
    """The resources of an actor, as Ray calls them."""
    found = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"], **needs["resources"]}
    return {name: amount for name, amount in found.items() if amount}


def _alive_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _nodes_for(needs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The nodes that may run an actor. Raises UsageError if there is none."""
    wanted = _wanted(needs)
    nodes = [node for node in _alive_nodes() if _room(node["Resources"], wanted) >= 1]
    if not nodes:
        raise UsageError("no node of the Ray cluster has what an actor needs",
                         f"needed: {_text_of(wanted)}", "ask for less: num_cpus, num_gpus, resources")
    return nodes


def _text_of(wanted: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in wanted.items()) or "nothing"


def _room(there: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    """How many actors these resources are enough for."""
    return min((math.floor(there.get(name, 0) / amount + 1e-6) for name, amount in wanted.items()), default=math.inf)


def _check_room(needs: Mapping[str, Any], parts: int, least: int) -> None:
    """Ray starts no task, and says nothing, while actors wait for a place or have every CPU: raises UsageError then."""
    wanted, total = _wanted(needs), parts * least
    there = [node["Resources"] for node in _alive_nodes()]
    rooms = [_room(one, wanted) for one in there]
    filling: float = 0  # the fewest actors that leave no node a whole CPU, however Ray places them
    for one, room in zip(there, rooms):
        if one.get("CPU", 0) >= 1:
            count = _room({"CPU": one["CPU"] - 1}, {"CPU": needs["num_cpus"]}) + 1 if needs["num_cpus"] else math.inf
            filling += count if count <= room else math.inf
    actors = f"{total} actors ({least} for each of {parts} parts)" if parts > 1 else f"{total} actors"
    detail = f"each needs {_text_of(wanted)}; all nodes together have room for {sum(rooms):g}"
    if sum(rooms) < total:
        raise UsageError(f"the Ray cluster has no room for {actors}", detail,
                         "ask for less: actors, parts, num_cpus, num_gpus, resources; or add nodes")
    if filling <= total:
        raise UsageError(f"{actors} leave no CPU of the Ray cluster free, so nothing could be read",
                         detail + ", and Ray needs 1 CPU for reading and cutting blocks",
                         "ask for less: actors, parts, num_cpus; or add a node")


def _look_at_nodes(nodes: Sequence[Mapping[str, Any]], parts: list[_core.Spec], needs: Mapping[str, Any],
                   mixed: bool) -> list[dict[str, str]]:
    """What the predictions of each part depend on, on every node that may run an actor."""
    task, yamls = ray.remote(_look()), [part.yaml for part in parts]
    options = {key: needs[key] for key in ("num_gpus", "runtime_env") if key in needs}  # also of nodes that are busy
    options |= {"num_cpus": 0, "max_retries": 0}
    asked = {task.options(**options, scheduling_strategy=NodeAffinitySchedulingStrategy(
        node["NodeID"], soft=False)).remote(yamls, _core.version): node for node in nodes}
    answered, late = ray.wait([*asked], num_returns=len(asked), timeout=_ANSWER_S)
    for answer in late:
        ray.cancel(answer)  # its actor will look for itself
    first: list[dict[str, str]] = []
    problems = []
    for answer in answered:
        try:
            problem, seen = ray.get(answer)
        except ray.exceptions.RayError:
            continue  # the node is gone
        first = first or seen
        if problem := problem or _differences(seen, first, mixed):
            problems.append(f"node {asked[answer]['NodeManagerAddress']} ({asked[answer]['NodeID'][:8]}): {problem}")
    if problems:
        raise UsageError(_UNFIT, "\n    ".join(problems), _UNFIT_HINT)
    if not first:
        raise FailedError(f"no node of the Ray cluster answered in {_ANSWER_S:.0f} s",
                          f"{len(nodes)} have what an actor needs", "wait until they are free, or ask for less")
    return first


def _array(table: pyarrow.Table, name: str) -> Any:
    """A column as samples: a view of the block if it is in one piece."""
    _check_column(name, table.column_names)
    column = table.column(name)
    if column.null_count:
        raise UsageError(f"{column.null_count} of {len(column)} samples of column '{name}' are missing", "",
                         "leave such rows out: dataset.filter(...)")
    if pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type):
        return column.to_pylist()
    arrays = [chunk.to_numpy_ndarray() if hasattr(chunk, "to_numpy_ndarray") else chunk.to_numpy(zero_copy_only=False)
              for chunk in column.chunks]
    if any(array.dtype == object for array in arrays):
        raise UsageError(f"the samples of column '{name}' are not tensors of one shape", f"Ray has {column.type}",
                         "make them such: dataset.map_batches(...) with numpy.stack(...)")
    return arrays[0] if len(arrays) == 1 else numpy.concatenate(arrays)


def _with_results(table: pyarrow.Table, p: _core.Predictions, members: int | None) -> pyarrow.Table:
    """The table with the columns of predictions. `members`: of the ensemble; None: it is a part of one."""
    found = {"values": p.values, "predicted": p.predicted, "spread": p.spread}
    found |= {_MEMBER + name: values for name, values in p.members.items()}
    if members is not None:
        found["members_present"] = numpy.full(p.count, members, numpy.int32)
        for lack in p.incomplete:
            found["members_present"][lack.first:lack.first + lack.count] = lack.members_present
    for name, rows in ((name, rows) for name, rows in found.items() if rows is not None):
        if name in table.column_names:
            raise UsageError(f"the data set has a column '{name}' already", "predictions have one of that name",
                             "rename it: dataset.rename_columns(...), or pass keep=[...] without it")
        table = table.append_column(name, pyarrow.array(rows) if rows.ndim == 1 else ArrowTensorArray.from_numpy(rows))
    return table


class _Pool:
    """An actor of Ray with an ensemble, or with a part of one. Ray calls it for two blocks at a time."""

    def __init__(self, yaml: str, expected: dict[str, str], mixed: bool, columns: Mapping[str, str],
                 keep: Sequence[str] | None, is_last: bool, whole: str | None) -> None:
        """`whole`: the description of all parts, if this has one of them."""
        problem, seen = _look()([yaml], _core.version)
        if problem := problem or _differences(seen, [expected], mixed):  # of a node that came later, too
            raise UsageError(_UNFIT, f"node {ray.util.get_node_ip_address()}: {problem}", _UNFIT_HINT)
        self._columns, self._keep, self._is_last = columns, keep, is_last
        self._whole = None if whole is None else _core.parse_spec(whole, [])
        self._ensemble = Ensemble(yaml)
        self._members = len(_core.member_names(_core.parse_spec(whole or yaml, [])))

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        samples = {name: _array(table, column) for name, column in self._columns.items()}
        p = self._ensemble.predict(samples if len(samples) > 1 else samples.popitem()[1])
        if self._whole is not None and p.incomplete:
            raise FailedError("members of a part did not predict every row, so it cannot be combined with others",
                              repr(p.incomplete), "parts need on_worker_failure: restart, and on_poison: fail")
        if not self._is_last:
            return _with_results(table, p, None)
        taken = {*self._columns.values()}
        if self._whole is not None:
            names = _core.member_names(self._whole)
            taken |= {_MEMBER + name for name in names if name not in p.members}  # of the parts before
            p = _core.combine(self._whole, [(name, p.members[name] if name in p.members else
                                             _array(table, _MEMBER + name)) for name in names])
        others = [name for name in table.column_names if name not in taken]
        table = table.select(others if self._keep is None else [*dict.fromkeys(self._keep)])
        return _with_results(table, p, self._members)
