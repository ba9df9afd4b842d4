"""Tests of bench/peers with only the standard library."""

import array
import contextlib
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[2] / "bench" / "peers"
sys.path[:0] = [str(PEERS), str(PEERS.parent)]

import catalogue  # noqa: E402
import family  # noqa: E402
import main  # noqa: E402
import measure  # noqa: E402
import tables  # noqa: E402
from bench_rows import Row, append_rows, number, read_rows  # noqa: E402
from catalogue import Contestant, Setting  # noqa: E402
from protocol import Child, ContestantFailed, decode, encode, last_line  # noqa: E402


def said(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of the options' parser."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            main.parse(list(arguments))
        except SystemExit as end:
            return int(end.code or 0), errors.getvalue()
    return 0, errors.getvalue()


class Peers(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def child(self, fault: str = "none", deadline: float = 50, environment: dict | None = None) -> Child:
        command = [sys.executable, "-B", str(HERE / "fake_contestant.py"), fault]
        child = Child(command, environment or dict(os.environ), self.folder / "log", deadline)
        self.addCleanup(child.close)
        return child

    def failure(self, action, *arguments, **named) -> str:
        with self.assertRaises(ContestantFailed) as caught:
            action(*arguments, **named)
        return str(caught.exception)

    # Protocol

    def test_a_contestant_is_prepared_and_runs_as_often_as_it_is_asked(self) -> None:
        child = self.child()
        measure.prepare(child, Setting("eager", 1, 20))
        self.assertEqual([measure.timed(child), measure.timed(child)], [20.0, 20.0])
        measure.prepare(child, Setting("eager", 1, 4))
        self.assertEqual(measure.timed(child), 4.0)

    def test_output_of_a_library_is_not_a_reply(self) -> None:
        self.child().ask("prepare", {"form": "", "batch": 1}, "prepared")
        self.assertEqual(last_line(self.folder / "log"), "a library's greeting")

    def test_a_contestant_that_throws_gives_one_line_as_the_reason(self) -> None:
        child = self.child()
        text = self.failure(measure.prepare, child, Setting("bad", 1, 4))
        self.assertEqual(text, "ValueError: this form is bad")

    def test_a_contestant_that_ends_gives_its_last_words_as_the_reason(self) -> None:
        text = self.failure(self.child, "gone")
        self.assertEqual(text, "it ended with 1 instead of replying 'ready'; its last line: the dog ate it")

    def test_a_contestant_that_says_nothing_is_given_up_at_the_deadline(self) -> None:
        self.assertEqual(self.failure(self.child, "silent", deadline=0.2), "no 'ready' within 0.2 s")

    def test_a_contestant_that_speaks_no_json_says_so(self) -> None:
        self.assertEqual(self.failure(self.child, "chatty"), "it replied b'no JSON', which is not JSON")

    def test_a_program_that_is_not_there_is_the_reason(self) -> None:
        text = self.failure(Child, ["/nowhere/python"], {}, self.folder / "log", 1)
        self.assertEqual(text, "could not start '/nowhere/python': No such file or directory")

    def test_a_reply_to_another_request_is_rejected(self) -> None:
        self.assertEqual(decode(encode("ran", {"seconds": 1.5}), "ran"), {"seconds": 1.5})
        self.assertEqual(self.failure(decode, encode("saved", {}), "ran"),
                         "it replied b'{\"saved\": {}}\\n' instead of 'ran'")
        self.assertIn("instead of 'ran'", self.failure(decode, b"[1]", "ran"))
        self.assertEqual(self.failure(decode, encode("failed", {"text": "no"}), "ran"), "no")

    def test_an_unknown_question_is_answered_with_a_failure(self) -> None:
        self.assertEqual(self.failure(self.child().ask, "dance", {}, "danced"),
                         "ValueError: this program cannot '{\"dance\": {}}'")

    def test_closing_a_contestant_ends_its_children_too(self) -> None:
        child = self.child("parent")
        child.ask("save", str(self.folder / "pid"), "saved")
        grandchild = int((self.folder / "pid").read_text())
        self.assertIn(grandchild, family.family(child.pid))
        child.close()
        state = Path(f"/proc/{grandchild}/stat")
        end = time.monotonic() + 20
        while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z" and time.monotonic() < end:
            time.sleep(0.01)
        self.assertTrue(not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z")

    # Choice

    def test_the_fastest_setting_is_chosen_and_failures_are_kept(self) -> None:
        seconds = {4: 3.0, 10: 1.0, 20: 2.0}

        def probe(setting: Setting) -> float:
            if setting.batch == 50:
                raise ContestantFailed("too large")
            return seconds[setting.batch]

        candidates = [Setting("eager", 1, batch) for batch in (4, 10, 20, 50)]
        best, time_taken, troubles = measure.fastest(candidates, probe)
        self.assertEqual((best.batch, time_taken, troubles), (10, 1.0, ["eager, 1 thread, batch 50: too large"]))
        self.assertEqual(self.failure(measure.fastest, candidates[3:], probe), "eager, 1 thread, batch 50: too large")

    def test_form_and_threads_are_chosen_again_for_the_best_batch(self) -> None:
        peer = Contestant("x", ("a", "b"), ("1",))

        def probe(setting: Setting) -> float:  # a wins at 4, b at all others, and 100 is best
            return {"a": 1.0, "b": 2.0}[setting.form] if setting.batch == 4 else (
                {"a": 0.9, "b": 0.5}[setting.form] - setting.batch / 1000)

        fixed, best = measure.choose(peer, [4, 20, 100], probe)
        self.assertEqual(fixed, Setting("a", 1, 4))
        self.assertEqual(best, Setting("b", 1, 100))
        self.assertEqual(measure.choose(peer, [4], probe), (fixed, fixed))

    def test_a_setting_says_what_it_is(self) -> None:
        self.assertEqual(Setting("", 1, 4).text(), "1 thread, batch 4")
        self.assertEqual(Setting(catalogue.AUTO, 1, 4).text(), "batch_images: auto")

    def test_all_cores_are_one_of_the_thread_settings(self) -> None:
        found = catalogue.settings(Contestant("x", ("a",), ("1", "all")), [4], 8)
        self.assertEqual([setting.text() for setting in found], ["a, 1 thread, batch 4", "a, 8 threads, batch 4"])
        self.assertEqual(len(catalogue.settings(Contestant("x", ("a",), ("1", "all")), [4], 1)), 1)

    def test_what_was_chosen_is_read_again_from_the_file(self) -> None:
        file = self.folder / "settings.json"
        chosen = (Setting("a", 1, 4), Setting("b", 2, 20))
        main.SettingsFile(file).add("users", "x", [4, 20], chosen)
        self.assertEqual(main.SettingsFile(file).known("users", "x", [4, 20]), chosen)
        self.assertIsNone(main.SettingsFile(file).known("users", "x", [4]))
        self.assertIsNone(main.SettingsFile(None).known("users", "x", [4, 20]))

    def test_a_settings_file_that_is_not_json_says_what_to_do(self) -> None:
        file = self.folder / "settings.json"
        file.write_text("{")
        with self.assertRaises(SystemExit) as caught:
            main.SettingsFile(file)
        self.assertIn(f"'{file}' is not JSON", str(caught.exception))
        self.assertIn("delete it", str(caught.exception))

    # Measuring

    def test_contestants_run_in_turns_and_one_that_fails_is_dropped(self) -> None:
        entries = [measure.Entry(Contestant(name), Setting("", 1, 4), self.child()) for name in "ab"]
        measure.prepare(entries[0].child, entries[0].setting)  # b was not prepared, and fails
        for _ in range(2):
            measure.measure_round(entries)
        self.assertEqual((entries[0].seconds, entries[0].failed), ([4.0, 4.0], ""))
        self.assertEqual((entries[1].seconds, entries[1].failed), ([], "IndexError: list index out of range"))
        self.assertIsNone(entries[1].child)
        measure.weigh(entries)
        self.assertGreater(entries[0].memory_bytes, 1 << 20)
        self.assertIsNone(entries[1].memory_bytes)

    def test_only_the_table_of_same_kernels_sets_malloc(self) -> None:
        os.environ["MALLOC_TOP_PAD_"] = os.environ["OMP_NUM_THREADS"] = "7"
        self.addCleanup(os.environ.pop, "MALLOC_TOP_PAD_")
        self.addCleanup(os.environ.pop, "OMP_NUM_THREADS")
        self.assertNotIn("MALLOC_TOP_PAD_", measure.environment("users", 1))
        self.assertEqual(measure.environment("kernels", 1)["MALLOC_TOP_PAD_"], str(64 << 20))
        self.assertEqual(measure.environment("users", 2)["OMP_NUM_THREADS"], "2")

    def test_answers_are_compared_value_by_value(self) -> None:
        one = array.array("f", [0.5, 0.25])
        self.assertEqual(measure.greatest_difference(one, array.array("f", [0.5, 0.5])), 0.25)
        self.assertEqual(measure.greatest_difference(one, one), 0.0)
        self.assertEqual(measure.greatest_difference(one, one[:1]), math.inf)
        self.assertEqual(measure.greatest_difference(one, array.array("f", [0.5, math.nan])), math.inf)

    def test_who_answers_something_else_is_dropped(self) -> None:
        class Answering:
            def __init__(self, values: list[float]):
                self.values = values

            def ask(self, word: str, file: str, answer: str) -> None:
                Path(file).write_bytes(array.array("f", self.values).tobytes())

            def close(self) -> None:
                pass

        entries = [measure.Entry(Contestant(name), child=Answering(values))
                   for name, values in (("tutti", [0.5]), ("a", [0.500001]), ("b", [0.6]))]
        measure.compare_answers(measure.Place(self.folder, Path(), 1), entries)
        self.assertEqual(entries[1].failed, "")
        self.assertEqual(entries[2].failed, "its predictions differ from Tutti's by 1.0e-01, more than 1e-05")

    def test_the_memory_of_a_family_counts_its_children(self) -> None:
        child = subprocess.Popen(["sleep", "600"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertIn(child.pid, family.family(os.getpid()))
        self.assertGreater(family.pss_bytes(child.pid), 0)
        self.assertGreater(family.pss_bytes(os.getpid()), family.pss_bytes(child.pid))

    # Rows

    def test_median_and_deviation_are_those_of_the_other_measuring_programs(self) -> None:
        row = Row("peers", "x", {}, "s", [3.0, 1.0, 2.0, 10.0])
        self.assertEqual((row.median, row.mad), (2.5, 1.0))

    def test_a_row_is_a_line_of_json_with_its_certificate(self) -> None:
        file = self.folder / "rows.json"
        append_rows(file, [Row("peers", "x", {"batch_images": 4}, "s", [1.0, 2.0, 4.0], note="n")], {"commit": "c"})
        append_rows(file, [Row("peers", "y", {}, "images/s", [], True, skipped="no GPU")], {"commit": "c"})
        first, second = map(json.loads, file.read_text().splitlines())
        self.assertEqual(first, {"schema": "tutti.bench/1", "certificate": {"commit": "c"}, "bench": "peers",
                                 "name": "x", "conditions": {"batch_images": 4}, "unit": "s", "better": "lower",
                                 "samples": [1.0, 2.0, 4.0], "median": 2.0, "mad": 1.0, "min": 1.0, "note": "n"})
        self.assertEqual((second["skipped"], second["samples"]), ("no GPU", []))
        self.assertEqual(second["better"], "higher")
        self.assertNotIn("median", second)
        self.assertEqual([row.to_json() for row in read_rows(file)], [first, second])

    def test_the_table_shows_ratios_to_tutti_and_who_was_skipped(self) -> None:
        found = [Row("peers", "tutti", {}, "s", [2.0]), Row("peers", "x", {}, "s", [3.0], note="eager"),
                 Row("peers", "y", {}, "s", skipped="not installed")]
        lines = tables.table("time", found, tables.reference_of(found)).splitlines()
        self.assertIn("x Tutti", lines[0])
        self.assertEqual(lines[2].split(), ["x", "3.000", "0", "3.000", "s", "1.50", "eager"])
        self.assertEqual(lines[3].split(), ["y", "skipped:", "not", "installed"])
        self.assertIsNone(tables.reference_of(found[1:]))

    def test_a_figure_outside_of_the_tables_is_a_line_with_its_unit_and_its_aim(self) -> None:
        memory = Row("kernels", "tutti", {"figure": "memory"}, "MiB", [12.0, 14.0, 13.0])
        ratio = Row("networks", "library / tutti", {"figure": "ratio"}, "", [0.5], aim=">= 0.9")
        self.assertEqual(tables.figure_line(memory), "tutti: memory: 13.000 MiB")
        self.assertEqual(tables.figure_line(ratio), "library / tutti: 0.500   aim >= 0.9")

    def test_numbers_have_four_digits(self) -> None:
        self.assertEqual([number(value) for value in (0, 0.0012346, 1.23456, 1650.0, 123456.0)],
                         ["0", "0.001235", "1.235", "1650", "123456"])

    # Words

    def test_a_peer_that_does_not_exist_is_named_with_those_that_do(self) -> None:
        code, text = said("--only", "torch-lop")
        self.assertEqual(code, 2)
        self.assertIn("there is no peer 'torch-lop'; there are keras-sequential, ", text)

    def test_batches_must_be_different_positive_numbers(self) -> None:
        for words in ("4,4", "0", "-1"):
            code, text = said(f"--batches={words}")
            self.assertEqual(code, 2)
            self.assertIn(f"--batches must be different numbers of at least 1, not '{words}'", text)
        self.assertIn("--batches takes numbers with commas between, not '4;5'", said("--batches", "4;5")[1])

    def test_repeats_must_be_positive(self) -> None:
        self.assertIn("--repeats must be at least 1, not 0", said("--repeats", "0")[1])

    def test_a_folder_that_is_not_there_is_found_before_anything_runs(self) -> None:
        for option in ("--json", "--settings"):
            self.assertIn(f"{option}: the folder '/nowhere' does not exist", said(option, "/nowhere/rows.json")[1])

    def test_an_unknown_table_is_rejected(self) -> None:
        self.assertIn("invalid choice: 'gpu'", said("--table", "gpu")[1])

    def test_a_driver_that_cannot_be_run_says_how_to_build_it(self) -> None:
        with self.assertRaises(SystemExit) as caught:
            main.version_of(Path("/nowhere/driver"))
        self.assertIn("could not run '/nowhere/driver'", str(caught.exception))
        self.assertIn("--target tutti_bench_peers_driver", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
