"""The part of scripts/bench-peers that runs in its environment: options, order of the work, tables."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import catalogue
import measure
from catalogue import Contestant, Setting
from measure import Entry, Place, Prober, compare_answers, environment, fastest, start_tutti, timed
from protocol import ContestantFailed, last_line
from tables import Row, append_rows, reference_of, table

HERE = Path(__file__).parent
TREE = HERE.parent.parent


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench-peers", description="Runs the notebook's workload with the alternatives to Tutti.")
    parser.add_argument("--repeats", type=int, help="rounds in which every contestant runs once (5; training 3)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"these peers: {', '.join(catalogue.names())}")
    parser.add_argument("--batches", default="4,10,20,50,100", metavar="N,N,...",
                        help="the first is the notebook's; each peer chooses its best from all (%(default)s)")
    parser.add_argument("--table", choices=[*catalogue.TABLES, "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="two rounds and few images, to see if everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append each row as a line of JSON")
    parser.add_argument("--settings", type=Path, metavar="FILE",
                        help="settings that the peers chose, which are not tried again; missing ones are added")
    parser.add_argument("--driver", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--build", type=Path, default=TREE / "build" / "peers", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # only checks the options
    options = parser.parse_args(arguments)
    options.batches = checked_batches(parser, options.batches)
    if options.repeats is not None and options.repeats < 1:
        parser.error(f"--repeats must be at least 1, not {options.repeats}")
    for name in options.only or []:
        if name not in catalogue.names():
            parser.error(f"there is no peer '{name}'; there are {', '.join(catalogue.names())}")
    for option, file in (("--json", options.json), ("--settings", options.settings)):
        if file and not file.parent.is_dir():
            parser.error(f"{option}: the folder '{file.parent}' does not exist")
    return options


def checked_batches(parser: argparse.ArgumentParser, text: str) -> list[int]:
    try:
        batches = [int(word) for word in text.split(",")]
    except ValueError:
        parser.error(f"--batches takes numbers with commas between, not '{text}'")
    if any(batch < 1 for batch in batches) or len(set(batches)) < len(batches):
        parser.error(f"--batches must be different numbers of at least 1, not '{text}'")
    return batches


def say(text: str) -> None:
    print(text, flush=True)


def helper(place: Place, script: str, *arguments: Any) -> None:
    """Runs one of the scripts that make data. Raises ContestantFailed with its last words."""
    log = place.log(script)
    with log.open("ab") as errors:
        command = [str(place.python), str(HERE / f"{script}.py"), *map(str, arguments)]
        code = subprocess.run(command, stdout=errors, stderr=errors, env=environment("", 1)).returncode
    if code != 0:
        raise ContestantFailed(f"{script} ended with {code}: {last_line(log)}")


def make_packages(place: Place, threads: int, member: int | str, batches: list[int]) -> None:
    helper(place, "packages", place.data, threads, member, *batches)


class SettingsFile:
    """The settings that the peers chose in an earlier run; nothing is kept without a file."""

    def __init__(self, file: Path | None):
        self.file = file
        self.content: dict[str, Any] = {}
        if file and file.exists():
            try:
                self.content = json.loads(file.read_text())
            except ValueError as error:
                raise SystemExit(f"bench-peers: '{file}' is not JSON: {error}\n"
                                 "  hint: delete it to try again")

    def key(self, table: str, name: str, batches: list[int]) -> str:
        return f"{table}/{name}/{','.join(map(str, batches))}"

    def known(self, table: str, name: str, batches: list[int]) -> tuple[Setting, Setting] | None:
        found = self.content.get(self.key(table, name, batches))
        return None if found is None else (Setting(*found[0]), Setting(*found[1]))

    def add(self, table: str, name: str, batches: list[int], chosen: tuple[Setting, Setting]) -> None:
        self.content[self.key(table, name, batches)] = [list(vars(setting).values()) for setting in chosen]
        if self.file:
            self.file.write_text(json.dumps(self.content, indent=2) + "\n")


class Comparison:
    """One table: the contestants, their settings, and the results."""

    def __init__(self, place: Place, table: str, options: argparse.Namespace):
        self.place, self.table = place, table
        self.batches = options.batches[:1] if table == "training" else options.batches
        self.repeats = options.repeats or (2 if options.quick else 3 if table == "training" else 5)
        self.peers = [peer for peer in catalogue.TABLES[table] if not options.only or peer.name in options.only]
        self.settings = SettingsFile(options.settings)
        self.failed: dict[str, str] = {}
        self.chosen: dict[str, tuple[Setting, Setting]] = {}

    def choose_all(self) -> None:
        """Each peer's settings: from the file if it has them, else by trying."""
        small = Place(self.place.build, self.place.driver, min(self.place.images, 1000))
        for peer in self.peers:
            if (known := self.settings.known(self.table, peer.name, self.batches)) is not None:
                self.chosen[peer.name] = known
                continue
            probe = Prober(small, self.table, peer)
            try:
                if self.table == "kernels":
                    prepare_packages(small, peer, self.batches)
                self.chosen[peer.name] = measure.choose(peer, self.batches, probe)
                if self.table == "kernels":
                    self.package_chosen(peer)
                self.settings.add(self.table, peer.name, self.batches, self.chosen[peer.name])
                say(f"#   {peer.name}: {' | '.join(setting.text() for setting in self.chosen[peer.name])}")
            except ContestantFailed as error:
                self.failed[peer.name] = str(error)
                say(f"#   {peer.name}: skipped: {error}")
            finally:
                probe.close()

    def package_chosen(self, peer: Contestant) -> None:
        """Makes the other members' packages, in the chosen settings."""
        for setting in set(self.chosen[peer.name]):
            for member in range(1, self.place.members) if peer.name != "torch-fused" else ():
                make_packages(self.place, setting.threads, member, [setting.batch])

    def entries(self, best: bool) -> list[Entry]:
        """Tutti first, then the peers in their chosen settings."""
        tutti = Setting(catalogue.AUTO if best else "", 1, self.batches[0])
        found = [Entry(catalogue.TUTTI, tutti)]
        for peer in self.peers:
            entry = Entry(peer, self.chosen[peer.name][best] if peer.name in self.chosen else None)
            if peer.name in self.failed:
                entry.failed = self.failed[peer.name]
            found.append(entry)
        return found

    def run(self, best: bool) -> list[Row]:
        entries = self.entries(best)
        try:
            for entry in entries:
                if not entry.failed:
                    measure.begin(self.place, self.table, entry)
            if best and entries[0].failed:
                self.try_tutti(entries[0])
            for _ in range(self.repeats):  # ABCABC
                measure.measure_round(entries)
            measure.weigh(entries)
            if self.table != "training":
                compare_answers(self.place, entries)
        finally:
            for entry in entries:
                if entry.child:
                    entry.child.close()
        return self.rows(entries, best)

    def try_tutti(self, tutti: Entry) -> None:
        """Finds Tutti's best batch by trying, like the peers', for a Tutti without `batch_images: auto`."""

        def probe(setting: Setting) -> float:
            child = start_tutti(self.place, setting.batch)
            try:
                timed(child)
                return timed(child)
            finally:
                child.close()

        try:
            tutti.setting = fastest([Setting("", 1, batch) for batch in self.batches], probe)[0]
        except ContestantFailed as error:
            tutti.failed = str(error)
            return
        tutti.failed = ""
        measure.begin(self.place, self.table, tutti)

    def rows(self, entries: list[Entry], best: bool) -> list[Row]:
        conditions = {"table": self.table, "workload": "S", "members": self.place.members,
                      "images": self.place.images, "segment_images": self.place.segment,
                      "batch_images": "best" if best else self.batches[0]}
        found = []
        for entry in entries:
            name = entry.contestant.name
            note = entry.setting.text() if entry.setting else ""
            if entry.difference and not entry.failed:
                note += f"; differs by {entry.difference:.0e}"
            for figure, unit, samples in (("time", "s", entry.seconds),
                                          ("start to ready", "s", [entry.ready_seconds]),
                                          ("memory", "MiB", [entry.memory_bytes and entry.memory_bytes / 2**20])):
                row = Row("peers", name, conditions | {"figure": figure}, unit, note=note, skipped=entry.failed)
                row.samples = [] if entry.failed else [sample for sample in samples if sample is not None]
                found.append(row)
        return found


def figure(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if row.conditions["figure"] == name]


def print_tables(comparison: Comparison, rows: list[Row], best: bool) -> None:
    batch = "each at its own best batch" if best else f"batch {comparison.batches[0]}"
    say(f"\n{catalogue.TITLES[comparison.table]}, {batch}")
    for name in ("time", "start to ready", "memory"):
        chosen = figure(rows, name)
        say("\n" + table(name, chosen, reference_of(chosen)))


def prepare_packages(place: Place, peer: Contestant, batches: list[int]) -> None:
    """Makes the packages for trying: of one member, at all batches."""
    for threads in sorted({setting.threads for setting in catalogue.settings(peer, batches, catalogue.cores())}):
        make_packages(place, threads, "merged" if peer.name == "torch-fused" else 0, batches)


def version_of(driver: Path) -> dict[str, str]:
    """The driver's certificate."""
    try:
        text = subprocess.run([str(driver), "--certificate"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"bench-peers: could not run '{driver}': {error}\n"
                         "  hint: build it: cmake --build --preset release --target tutti_bench_peers_driver")
    return json.loads(text)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.check:
        return 0
    place = Place(options.build, options.driver, 1000 if options.quick else 6000)
    place.log("").parent.mkdir(parents=True, exist_ok=True)
    certificate = version_of(options.driver)
    try:
        helper(place, "workload", place.data, 6000, place.members)
    except ContestantFailed as error:
        raise SystemExit(f"bench-peers: could not make the images: {error}")
    say(f"# {certificate['version']} of {certificate['commit']} | {certificate['cores']} x {certificate['cpu']} "
        f"({certificate['governor']}) | {certificate['kernel']} | random images")
    for table in catalogue.TABLES if options.table == "all" else [options.table]:
        comparison = Comparison(place, table, options)
        if not comparison.peers:
            continue
        say(f"# {catalogue.TITLES[table]}: each chooses its setting (at batch {options.batches[0]} | of all)")
        comparison.choose_all()
        for best in (False,) if len(comparison.batches) == 1 else (False, True):
            rows = comparison.run(best)
            print_tables(comparison, rows, best)
            if options.json:
                append_rows(options.json, rows, certificate | {"repeats": comparison.repeats})
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # this also ends the contestants
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
