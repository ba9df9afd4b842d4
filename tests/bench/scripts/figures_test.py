"""bench/figures over a small tree of its own, and over the tree itself."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FIGURES = {
    "groups": {"start": ["sh -c 'cat new.jsonl >>{rows}'"], "broken": ["false"]},
    "figures": {
        "start": {"bench": "foundation", "name": "start", "as": "{:.2f} s"},
        "ratio": {"bench": "race", "name": "ours", "over": {"bench": "race", "name": "theirs"}, "as": "{:.1f}"},
    },
}


def row(bench, name, samples, unit="s"):
    return json.dumps({"schema": "tutti.bench/1", "certificate": {"cpu": "a CPU"}, "bench": bench, "name": name,
                       "conditions": {}, "unit": unit, "better": "lower", "samples": samples}) + "\n"


class Cases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        (self.root / "docs").mkdir()
        (self.root / "bench").mkdir()
        self.define(FIGURES)
        self.history = self.root / "bench/history.jsonl"
        self.history.write_text(row("foundation", "start", [9, 9, 9]) + row("foundation", "start", [0.3, 0.2, 0.25]) +
                                row("race", "ours", [3]) + row("race", "theirs", [2]))
        self.page("up in <!-- fig:start -->0.25 s<!-- /fig -->\n\n| a | <!-- fig:ratio -->1.5<!-- /fig --> |\n")

    def define(self, definitions):
        (self.root / "bench/figures.json").write_text(json.dumps(definitions))

    def page(self, text):
        (self.root / "README.md").write_text(text)

    def run_it(self, *arguments):
        command = [sys.executable, "-B", str(ROOT / "bench/figures"), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_pages_that_say_what_the_newest_rows_say_pass(self):
        done = self.run_it("--check")
        self.assertEqual((done.returncode, done.stdout), (0, "every figure is that of the newest row\n"))

    def test_a_page_that_says_something_else_is_named_with_its_line(self):
        self.page("x\n<!-- fig:start -->0.21 s<!-- /fig --> <!-- fig:ratio -->1.5<!-- /fig -->\n")
        done = self.run_it("--check")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "README.md:2: the figure 'start' says 0.21 s, and the newest row 0.25 s\n")

    def test_marks_without_a_definition_and_definitions_without_a_mark_are_named(self):
        self.page("<!-- fig:strat -->1<!-- /fig --> <!-- fig:ratio -->1.5<!-- /fig -->")
        self.assertEqual(self.run_it("--check").stdout,
                         "README.md:1: bench/figures.json does not define the figure 'strat'\n"
                         "bench/figures.json: no page has the figure 'start'\n")

    def test_a_figure_without_a_row_is_named(self):
        self.history.write_text(row("race", "ours", [3]) + row("race", "theirs", [2]))
        self.assertIn("bench/history.jsonl has no row for the figure 'start': foundation, start",
                      self.run_it("--check").stdout)

    def test_writing_puts_the_newest_values_into_the_pages(self):
        self.history.write_text(self.history.read_text() + row("foundation", "start", [0.5]))
        self.assertEqual(self.run_it("--write").stdout, "wrote README.md\n")
        self.assertIn("up in <!-- fig:start -->0.50 s<!-- /fig -->\n", (self.root / "README.md").read_text())
        self.assertEqual(self.run_it("--check").returncode, 0)

    def test_measuring_appends_rows_with_their_date_and_writes_the_pages(self):
        (self.root / "new.jsonl").write_text(row("foundation", "start", [0.75]))
        done = self.run_it("--measure", "start")
        self.assertEqual(done.returncode, 0, done.stderr)
        newest = json.loads(self.history.read_text().splitlines()[-1])
        self.assertEqual(newest["samples"], [0.75])
        self.assertIn("date", newest["certificate"])
        self.assertIn("0.75 s", (self.root / "README.md").read_text())

    def test_a_measurement_that_fails_leaves_rows_and_pages_alone(self):
        before = self.history.read_text()
        done = self.run_it("--measure", "broken")
        self.assertEqual((done.returncode, done.stderr), (2, "bench/figures: the measurement failed: false\n"))
        self.assertEqual(self.history.read_text(), before)

    def test_a_group_that_does_not_exist_is_named(self):
        done = self.run_it("--measure", "stop")
        self.assertEqual((done.returncode, done.stderr),
                         (2, "bench/figures: there is no group 'stop'; there are: start, broken\n"))

    def test_a_listing_says_where_each_figure_comes_from(self):
        self.assertIn("a CPU", self.run_it().stdout)

    def test_the_pages_of_the_tree_say_what_its_rows_say(self):
        done = subprocess.run([sys.executable, "-B", str(ROOT / "bench/figures"), "--check"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
