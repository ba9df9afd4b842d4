"""The GPU rows of `tutti bench`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .ensembles import CNN, MLP, description, last_words, networks, write

if TYPE_CHECKING:
    from .checks import Findings, Place

ON_GPU = ("sequential, one thread", "threads", "single graph, branches", "single graph, fused",
          "multiprocess (the pool)")
REHEARSED = {"sequential-one": "sequential, one thread", "multiprocess": "multiprocess (the pool)"}
# The batch that suits a GPU first; then the one at which calls cost more than arithmetic. Each repeat starts every
# strategy again, which takes most of the time.
REPEATS_AT = {100: 5, 4: 3}
WITHOUT_GRAPHS = "sequential-one,threads,multiprocess"


def compare_strategies(found: "Findings", place: "Place") -> None:
    for batch in list(REPEATS_AT)[: place.scaled(len(REPEATS_AT), 1)]:
        compare_at(found, place, batch)


def ensemble(place: "Place") -> dict[str, Any]:
    images = {"dataset": "random", "count": place.scaled(6000, 200), "seed": 1, "classes": 10}
    names = {f"mlp-{i}": MLP for i in range(2)} if place.rehearsal else {f"cnn-{i}": CNN for i in range(4)}
    what = description(place, networks(names, None), input=images, segment_images=place.scaled(500, 100))
    del what["save_members"], what["threads"]
    return what


def compare_at(found: "Findings", place: "Place", batch: int) -> None:
    rows = place.output / "rows.jsonl"
    before = rows.read_text().splitlines() if rows.is_file() else []
    file = write(place, f"bench-{batch}", {**ensemble(place), "batch_images": batch})
    command = [place.tutti, "bench", file, "--json", rows, "--repeats", place.scaled(REPEATS_AT[batch], 1),
               "--seconds", 0]
    if place.rehearsal:
        command += ["--strategies", ",".join(REHEARSED)]
    outcome = found.run(command, place.env)
    if not found.check(f"tutti bench at batch {batch}", outcome.code == 0, wrong=last_words(outcome.output)):
        found.run([*command, "--strategies", WITHOUT_GRAPHS], place.env)  # what there is without them
    if not rows.is_file():
        return
    measured = [json.loads(line) for line in rows.read_text().splitlines()[len(before):]]
    device = "cpu" if place.rehearsal else "cuda"
    for name in REHEARSED.values() if place.rehearsal else ON_GPU:
        check_row(found, batch, name, [row for row in measured if row["bench"] == "strategies" and row["name"] == name
                                       and row["conditions"].get("device") == device])


def check_row(found: "Findings", batch: int, name: str, rows: list[dict[str, Any]]) -> None:
    label = f"batch {batch}: {name}"
    if not found.check(f"{label} has a row", bool(rows)):
        return
    row = rows[-1]
    skipped = row.get("skipped", "")
    found.check(f"{label} was measured", not skipped and bool(row.get("samples")), wrong=skipped)
    found.figures.setdefault("rows", []).append(
        {"batch": batch, "name": name, **{key: row.get(key) for key in ("median", "mad", "min", "unit", "note")}})
