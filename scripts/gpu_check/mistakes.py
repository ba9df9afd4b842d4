"""What Tutti says about a GPU that is not there, and about one whose memory is full."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING

from .ensembles import CNN, command_for, description, last_words, networks

if TYPE_CHECKING:
    from .checks import Findings, Place

MISSING = "cuda:7"
# Plain allocations: all but as much as a process needs for its context.
HOLDER = """
import time, torch
held, block = [], 4 << 30
torch.ones(1, device="cuda")
while block >= 64 << 20:
    free = torch.cuda.mem_get_info()[0]
    if free - block < 256 << 20:
        block //= 2
        continue
    held.append(torch.empty(block, dtype=torch.uint8, device="cuda"))
print("held", torch.cuda.mem_get_info()[0] >> 20, flush=True)
time.sleep(600)
"""


def make_mistakes(found: "Findings", place: "Place") -> None:
    name_a_missing_device(found, place)
    if place.rehearsal:
        found.skip("a full GPU is told as such", "no GPU")
    else:
        fill_the_gpu(found, place)


def name_a_missing_device(found: "Findings", place: "Place") -> None:
    what = description(place, networks({"cnn": CNN}, None), assignment=MISSING)
    outcome = found.run(command_for(place, "run", "missing", what), place.env)
    words = last_words(outcome.output)
    found.figures["a missing device"] = words
    found.check("a missing device is wrong usage", outcome.code == 2, wrong=f"exit code {outcome.code}")
    found.check("a missing device is named", f"{MISSING} does not exist" in words, wrong=words)
    if not place.rehearsal:
        found.check("the GPUs that are there are counted", "this machine has" in words, wrong=words)


def fill_the_gpu(found: "Findings", place: "Place") -> None:
    """With the memory held by another process, a member says what is missing; once it is free the same member runs."""
    command = command_for(place, "run", "full", description(place, networks({"cnn": CNN}, None)))
    holder = place.start([sys.executable, "-c", HOLDER])
    try:
        said = None
        while said is None and not holder.ended() and found.left() > 0:
            time.sleep(0.1)
            said = re.search(r"^held (\d+)$", holder.output(), re.MULTILINE)
        if said is None:
            found.skip("a full GPU is told as such", f"torch could not fill it: {holder.output().strip()[-300:]}")
            return
        found.figures["MiB left on the full GPU"] = int(said.group(1))
        outcome = found.run(command, place.env)
    finally:
        holder.kill()
    words = last_words(outcome.output)
    found.figures["a full GPU"] = words
    found.check("a full GPU ends the run", outcome.code == 1, wrong=f"exit code {outcome.code}")
    found.check("a full GPU is told as such", "out of memory" in words, wrong=words)
    found.check("nothing is left of it", found.run(command, place.env).code == 0)
