"""bench/compare: what counts as a change, what it prints, and its exit code."""

import unittest

from made_rows import CERTIFICATE, ScriptCase, row, skipped


class Cases(ScriptCase):
    script = "compare"

    def compare(self, old: list[dict] | str, new: list[dict] | str, *options: str) -> str:
        """What it prints, and the exit code in self.code."""
        ran = self.run_script(self.file("old.jsonl", old), self.file("new.jsonl", new), *options)
        self.code = ran.returncode
        self.said = ran.stderr
        return ran.stdout

    def verdict(self, old: list[dict], new: list[dict], *options: str) -> str:
        return self.compare(old, new, *options).splitlines()[1].split()[0]

    def test_equal_rows_are_the_same(self) -> None:
        self.assertEqual(self.verdict([row()], [row()]), "same")
        self.assertEqual(self.code, 0)
        self.assertEqual(self.said, "")

    def test_a_clear_rise_of_a_time_is_worse_and_ends_with_1(self) -> None:
        output = self.compare([row()], [row(samples=(1.2, 1.21, 1.19))])
        self.assertIn("worse", output.splitlines()[1])
        self.assertIn("+20.0 %", output)
        self.assertIn("1 worse, 0 better", output)
        self.assertEqual(self.code, 1)

    def test_a_clear_fall_of_a_time_is_better(self) -> None:
        self.assertEqual(self.verdict([row()], [row(samples=(0.8, 0.81, 0.79))]), "better")
        self.assertEqual(self.code, 0)

    def test_a_rate_that_falls_is_worse(self) -> None:
        rate = {"better": "higher", "unit": "GB/s"}
        self.assertEqual(self.verdict([row(**rate)], [row(samples=(0.8, 0.81, 0.79), **rate)]), "worse")
        self.assertEqual(self.verdict([row(**rate)], [row(samples=(1.2, 1.21, 1.19), **rate)]), "better")

    def test_a_change_below_the_threshold_does_not_count(self) -> None:
        old, new = [row(samples=(1.0, 1.0, 1.0))], [row(samples=(1.04, 1.04, 1.04))]
        self.assertEqual(self.verdict(old, new), "same")
        self.assertEqual(self.verdict(old, new, "--threshold", "3%"), "worse")
        self.assertEqual(self.verdict(old, new, "--threshold", "0.03"), "worse")
        self.assertEqual(self.verdict(old, new, "--threshold", "4.1%"), "same")

    def test_a_change_within_the_noise_does_not_count(self) -> None:
        # 20 % above, no overlap, but the MADs of 0.05 and 0.05 make a noise of 0.31.
        old, new = [row(samples=(0.95, 1.0, 1.05))], [row(samples=(1.15, 1.2, 1.25))]
        self.assertEqual(self.verdict(old, new), "same")
        self.assertEqual(self.verdict(old, [row(samples=(1.35, 1.4, 1.45))]), "worse")

    def test_samples_that_overlap_do_not_count(self) -> None:
        old = [row(samples=(1.0, 1.0, 1.0, 1.0, 1.3))]
        self.assertEqual(self.verdict(old, [row(samples=(1.25, 1.25, 1.25, 1.25))]), "same")
        self.assertEqual(self.verdict(old, [row(samples=(1.35, 1.35, 1.35, 1.35))]), "worse")

    def test_rows_are_matched_by_their_conditions_in_any_order(self) -> None:
        old = [row(conditions={"members": 4, "batch": 1}), row(samples=(9, 9, 9), conditions={"members": 8, "batch": 1})]
        new = [row(samples=(9, 9, 9), conditions={"batch": 1, "members": 8}), row(conditions={"batch": 1, "members": 4})]
        output = self.compare(old, new)
        self.assertIn("0 worse, 0 better, 2 same, 0 new, 0 gone", output)
        self.assertIn("round trip [batch 1, members 8]", output)

    def test_new_gone_and_skipped_rows_are_reported_and_are_not_a_regression(self) -> None:
        output = self.compare([row("a"), row("b"), skipped("c", "no GPU")], [row("a"), skipped("b", "one core"),
                                                                          row("c"), row("d")])
        self.assertIn("1 same, 1 new, 0 gone, 2 skipped", output)
        self.assertIn("one core", output)
        self.assertIn("before: no GPU", output)
        self.assertEqual(self.code, 0)
        self.assertIn("1 gone", self.compare([row("a"), row("b")], [row("a")]))

    def test_a_figure_that_was_measured_twice_has_all_its_samples(self) -> None:
        twice = [row(samples=(1.0, 1.0)), row(samples=(3.0, 3.0))]
        self.assertIn("2.000", self.compare(twice, twice))

    def test_a_figure_that_was_zero_is_worse_when_it_is_not_any_more(self) -> None:
        self.assertEqual(self.verdict([row(samples=(0, 0, 0))], [row(samples=(5, 5, 5))]), "worse")
        self.assertEqual(self.verdict([row(samples=(0, 0, 0))], [row(samples=(0, 0, 0))]), "same")

    def test_other_machines_are_warned_of(self) -> None:
        other = CERTIFICATE | {"cpu": "B CPU", "cores": 8, "compiler": "clang 14.0.0"}
        self.compare([row()], [row(certificate=other)])
        self.assertIn("warning: not the same cpu: 'A CPU' before, 'B CPU' now", self.said)
        self.assertIn("not the same cores: '2' before, '8' now", self.said)
        self.assertIn("not the same compiler", self.said)
        self.assertNotIn("kernel", self.said)
        self.assertEqual(self.code, 0)

    def refused(self, rows: list[dict] | str, words: str) -> None:
        self.assertEqual(self.compare([row()], rows), "")
        self.assertIn(words, self.said)
        self.assertNotIn("Traceback", self.said)
        self.assertEqual(self.code, 2)

    def test_malformed_rows_are_rejected_with_their_place(self) -> None:
        self.refused("{\n", "new.jsonl:1: not JSON")
        self.refused("[1]\n", "new.jsonl:1: not a row: a JSON object was expected")
        self.refused([row(), row(schema="other/1")], 'new.jsonl:2: not a row of \'tutti.bench/1\': its schema is "other/1"')
        self.refused([row(samples=(1, "2"))], "'samples' must hold finite numbers alone")
        self.refused('{"schema": "tutti.bench/1", "samples": [NaN]}', "'samples' must hold finite numbers alone")
        self.refused([row(samples=())], "neither samples nor a reason why it was skipped")
        self.refused([row(better="bigger")], "'better' must be lower or higher")
        self.refused([row(name=7)], "'name' must be a text, found 7")
        self.refused([row(conditions=[])], "'conditions' must be an object, found []")
        self.refused([row() | {"samples": 1.0}], "'samples' must be a list")
        self.refused("", "holds no rows")

    def test_one_figure_in_two_units_is_rejected(self) -> None:
        self.refused([row(unit="ms")], "'round trip' is in 'us'")
        self.refused([row(better="higher")], "is better when lower in one row and when higher in another")

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        ran = self.run_script(self.folder / "none.jsonl", self.file("new.jsonl", [row()]))
        self.assertIn("could not read", ran.stderr)
        self.assertIn("none.jsonl", ran.stderr)
        self.assertEqual(ran.returncode, 2)
        (self.folder / "bytes.jsonl").write_bytes(b"\xff\xfe")
        ran = self.run_script(self.folder / "bytes.jsonl", self.file("new.jsonl", [row()]))
        self.assertIn("is no text", ran.stderr)
        self.assertEqual(ran.returncode, 2)

    def test_wrong_usage_ends_with_2(self) -> None:
        self.assertEqual(self.run_script().returncode, 2)
        for threshold in ("much", "-1%", "nan"):
            self.compare([row()], [row()], f"--threshold={threshold}")
            self.assertEqual(self.code, 2)
            self.assertIn(f"'{threshold}' is no threshold: write 5% or 0.05", self.said)

    def test_help_states_the_rule(self) -> None:
        ran = self.run_script("--help")
        self.assertEqual(ran.returncode, 0)
        self.assertIn("3 x 1.4826", ran.stdout)


if __name__ == "__main__":
    unittest.main()
