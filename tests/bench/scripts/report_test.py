"""bench/report: one self-contained page, whose numbers are those of the rows."""

import importlib.util
import json
import re
import unittest
from html.parser import HTMLParser

from made_rows import CERTIFICATE, ScriptCase, row, skipped

STRATEGIES = [row("multiprocess", (1.25, 1.5, 1.0), bench="strategies", unit="s", conditions={"members": 4}),
              row("threads", (1.75, 2.0, 2.5), bench="strategies", unit="s", conditions={"members": 4}),
              row("train", (7.0, 7.5), bench="strategies", unit="s", conditions={"members": 4})]
SWEEP = [row(name, (base * members, base * members + 1), bench="sweep", unit="images/s", better="higher",
             conditions={"members": members, "batch_images": batch})
         for name, base in (("multiprocess", 1000), ("single-graph", 900)) for members in (1, 2, 4) for batch in (4, 20)]
INTERFERENCE = [row("cnn-0", (500.0, 510.0), bench="interference", unit="images/s", better="higher",
                    conditions={"beside": beside}) for beside in ("nobody", "the others")]
TRACE = {"traceEvents": [
    {"ph": "M", "name": "process_name", "pid": 1, "tid": 1, "args": {"name": "coordinator"}},
    {"ph": "M", "name": "process_name", "pid": 2, "tid": 2, "args": {"name": "cnn-0"}},
    {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "driver"}},
    {"ph": "X", "name": "fill", "pid": 1, "tid": 1, "ts": 1000, "dur": 400},
    {"ph": "X", "name": "combine", "pid": 1, "tid": 1, "ts": 9000, "dur": 125},
    {"ph": "X", "name": "wait", "pid": 2, "tid": 2, "ts": 1000, "dur": 500},
    {"ph": "X", "name": "infer", "pid": 2, "tid": 2, "ts": 1500, "dur": 6000, "args": {"segment": 0}},
    {"ph": "X", "name": "infer", "pid": 2, "tid": 2, "ts": 8000, "dur": 1250, "args": {"segment": 1}},
    {"ph": "C", "name": "ring", "pid": 2, "ts": 1000, "args": {"tasks": 3}},
    {"ph": "C", "name": "ring", "pid": 2, "ts": 8000, "args": {"tasks": 1}}]}


class Page(HTMLParser):
    """The cells of the tables as (text, exact value), the words of alternative texts, and whether tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, float | None]] = []
        self.alts: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        attributes = dict(attrs)
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "td":
            value = attributes.get("data-value")
            self.cells.append(("", None if value is None else float(value)))
        if "aria-label" in attributes:
            self.alts.append(attributes["aria-label"])
        if "id" in attributes:
            self.ids.append(attributes["id"])

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            text, value = self.cells[-1]
            self.cells[-1] = (text + data, value)


class Cases(ScriptCase):
    script = "report"

    def without_matplotlib(self) -> dict:
        """An environment in which matplotlib cannot be imported."""
        (self.folder / "matplotlib.py").write_text("raise ImportError('not here')\n", encoding="utf-8")
        return {"PYTHONPATH": str(self.folder)}

    def page(self, rows: list[dict], *options: object) -> str:
        if importlib.util.find_spec("matplotlib") is None:
            print("SKIPPED: matplotlib is missing")
            self.skipTest("matplotlib is missing")
        out = self.folder / "page.html"
        ran = self.run_script(self.file("rows.jsonl", rows), "--html", out, *options)
        self.assertEqual(ran.stderr, "")
        self.assertEqual(ran.returncode, 0)
        return out.read_text(encoding="utf-8")

    def test_check_says_what_to_install_if_matplotlib_is_missing(self) -> None:
        ran = self.run_script("--check", environment=self.without_matplotlib())
        self.assertEqual(ran.returncode, 2)
        self.assertIn("apt-get install python3-matplotlib", ran.stderr)

    def test_check_is_content_if_matplotlib_is_there(self) -> None:
        found = importlib.util.find_spec("matplotlib") is not None
        self.assertEqual(self.run_script("--check").returncode, 0 if found else 2)

    def test_a_page_without_matplotlib_is_rejected_with_advice(self) -> None:
        out = self.folder / "page.html"
        ran = self.run_script(self.file("rows.jsonl", STRATEGIES), "--html", out, environment=self.without_matplotlib())
        self.assertEqual(ran.returncode, 2)
        self.assertIn("pip install matplotlib", ran.stderr)
        self.assertFalse(out.exists())

    def test_wrong_usage_ends_with_2(self) -> None:
        ran = self.run_script(self.file("rows.jsonl", STRATEGIES))
        self.assertEqual(ran.returncode, 2)
        self.assertIn("report ROWS.jsonl --html OUT", ran.stderr)

    def test_all_plots_are_there_if_all_rows_are(self) -> None:
        text = self.page(STRATEGIES + SWEEP + INTERFERENCE, "--trace", self.file("trace.json", json.dumps(TRACE)))
        self.assertEqual(text.count("<svg"), 5)

    def test_plots_without_rows_have_no_section(self) -> None:
        text = self.page([row()])
        self.assertEqual(text.count("<svg"), 0)
        for title in ("Time by strategy", "Scaling", "Images per second", "Interference", "Timeline"):
            self.assertNotIn(title, text)

    def test_the_winner_stands_above_the_table_with_its_lead(self) -> None:
        text = self.page(STRATEGIES[:2] + [row("noise", (10.0, 10.1), bench="noise", unit="ms")])
        self.assertIn("No strategy is clearly the fastest: multiprocess (1.250 s) leads threads (2.000 s) by 60.0 %", text)
        steady = [row("pool", (1.0, 1.0), bench="strategies", unit="s"),
                  row("threads", (2.0, 2.0), bench="strategies", unit="s")]
        text = self.page(steady)
        self.assertIn("pool (1.000 s) is fastest: it takes 50 % less time than threads (2.000 s).", text)
        self.assertLess(text.index("is fastest"), text.index("All rows"))
        self.assertNotIn("not steady", text)

    def test_a_machine_that_is_not_steady_is_a_warning_above_the_table(self) -> None:
        text = self.page([row("pool", (1.0, 1.0), bench="strategies", unit="s"),
                          row("threads", (1.2, 1.2), bench="strategies", unit="s"),
                          row("noise", (10.0, 13.0), bench="noise", unit="ms")])
        self.assertIn("took 30 % longer in one round than in another", text)
        self.assertIn("leads threads (1.200 s) by 20.0 %, within the noise", text)
        self.assertLess(text.index("not steady"), text.index("All rows"))

    def test_rows_skipped_for_want_of_a_gpu_are_left_out(self) -> None:
        text = self.page([row(), skipped("on a GPU", "no GPU") | {"conditions": {"device": "cuda"}}])
        self.assertNotIn("on a GPU", text)

    def test_calls_on_different_days_are_of_one_build(self) -> None:
        text = self.page([row("a", certificate=CERTIFICATE | {"date": "2026-03-21", "options": "x"}),
                          row("b", certificate=CERTIFICATE | {"date": "2026-03-22", "options": "y"})])
        self.assertNotIn("different builds", text)
        self.assertIn("2026-03-21, 2026-03-22", text)

    def test_the_numbers_of_the_table_are_those_of_the_rows(self) -> None:
        cells = Page(self.page(STRATEGIES)).cells
        self.assertIn(("1.250", 1.25), cells)  # median
        self.assertIn(("0.2500", 0.25), cells)  # MAD
        self.assertIn(("1.000", 1.0), cells)  # minimum
        self.assertIn(("3", 3.0), cells)  # samples
        self.assertIn(("7.250", 7.25), cells)

    def test_alternative_texts_hold_the_figures_of_the_pictures(self) -> None:
        strategies, members, batch, alone, times = Page(self.page(
            STRATEGIES + SWEEP + INTERFERENCE, "--trace", self.file("trace.json", json.dumps(TRACE)))).alts
        self.assertIn("multiprocess 1.250 s; threads 2.000 s", strategies)
        self.assertIn("multiprocess (batch_images 4): 1000 images/s at 1, 2000 images/s at 2, 4000 images/s at 4",
                      members.replace(".5", ""))
        self.assertIn("single-graph (members 2): 1800 images/s at 4", batch.replace(".5", ""))
        self.assertIn("cnn-0 (beside the others) 505.0 images/s", alone)
        self.assertIn("cnn-0: infer 7.250 ms, wait 0.5000 ms", times)
        self.assertIn("coordinator: driver: combine 0.1250 ms, fill 0.4000 ms", times)

    def test_times_of_a_trace_stand_in_a_table(self) -> None:
        cells = Page(self.page([row()], "--trace", self.file("trace.json", json.dumps(TRACE)))).cells
        self.assertIn(("7.250", 7.25), cells)
        self.assertIn(("0.1250", 0.125), cells)

    def test_counters_of_a_trace_are_drawn(self) -> None:
        text = self.page([row()], "--trace", self.file("trace.json", json.dumps(TRACE)))
        self.assertIn("cnn-0: ring: tasks", text)

    def test_a_long_trace_is_shown_in_part_and_the_page_says_so(self) -> None:
        spans = [{"ph": "X", "name": "infer", "pid": 2, "tid": 2, "ts": 10 * i, "dur": 9} for i in range(4000)]
        text = self.page([row()], "--trace", self.file("trace.json", json.dumps(spans)))
        self.assertIn("a part from its middle: 1500 of 4000 spans", text)
        self.assertIn("infer 36.00 ms", text)

    def test_the_page_needs_nothing_else(self) -> None:
        text = self.page(STRATEGIES + SWEEP + INTERFERENCE, "--trace", self.file("trace.json", json.dumps(TRACE)))
        self.assertNotIn("://", text)
        self.assertNotIn("@import", text)
        self.assertFalse({"script", "link", "img", "iframe"} & set(Page(text).tags))
        self.assertEqual(set(re.findall(r"url\((.)", text)) - {"#"}, set())

    def test_the_page_is_whole_and_its_identifiers_are_unique(self) -> None:
        page = Page(self.page(STRATEGIES + SWEEP + INTERFERENCE,
                              "--trace", self.file("trace.json", json.dumps(TRACE))))
        self.assertEqual(page.open, [])
        self.assertEqual(len(page.ids), len(set(page.ids)))
        self.assertGreater(len(page.ids), 50)

    def test_references_inside_pictures_find_their_targets(self) -> None:
        text = self.page(STRATEGIES + SWEEP, "--trace", self.file("trace.json", json.dumps(TRACE)))
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
        self.assertTrue(used)
        self.assertEqual(used - set(Page(text).ids), set())

    def test_pictures_take_the_colour_of_the_page(self) -> None:
        text = self.page(STRATEGIES)
        self.assertIn("color-scheme: light dark", text)
        self.assertIn("currentColor", text)
        self.assertNotIn("#000000", text)
        self.assertNotIn("#102030", text)

    def test_the_certificate_is_in_the_page(self) -> None:
        text = self.page([row()])
        for value in CERTIFICATE.values():
            self.assertIn(str(value), text)
        self.assertNotIn("different builds", text)
        text = self.page([row("a"), row("b", certificate=CERTIFICATE | {"cpu": "B CPU"})])
        self.assertIn("2 different builds or machines", text)
        self.assertIn("B CPU", text)

    def test_skipped_rows_say_why(self) -> None:
        self.assertIn("skipped: no GPU", self.page([skipped("gpu", "no GPU")]))

    def test_names_are_text_and_no_markup(self) -> None:
        text = self.page([row("<b>a & b</b>", bench="strategies", unit="s", note='"<i>"')])
        self.assertNotIn("<b>", text)
        self.assertNotIn("<i>", text)
        self.assertIn("&lt;b&gt;a &amp; b&lt;/b&gt;", text)

    def refused(self, rows: list[dict] | str, trace: str | None, words: str) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            print("SKIPPED: matplotlib is missing")
            self.skipTest("matplotlib is missing")
        options = [] if trace is None else ["--trace", self.file("trace.json", trace)]
        ran = self.run_script(self.file("rows.jsonl", rows), "--html", self.folder / "page.html", *options)
        self.assertEqual(ran.returncode, 2)
        self.assertIn(words, ran.stderr)
        self.assertNotIn("Traceback", ran.stderr)

    def test_malformed_input_is_rejected(self) -> None:
        self.refused("no rows\n", None, "rows.jsonl:1: not JSON")
        self.refused([row()], "{", "is not a Chrome trace")
        self.refused([row()], '{"events": []}', "it has no list of events")
        self.refused([row()], "[1]", "it has no list of events")
        self.refused([row()], "[]", "there is no timeline")
        self.refused([row()], '[{"ph": "X", "name": "infer", "ts": 1}]', "event 0: 'dur' must be a number, found null")
        self.refused([row()], '[{"ph": "C", "name": "ring", "ts": 1}]', "event 0: a counter without 'args'")

    def test_a_trace_that_cannot_be_read_is_named(self) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            print("SKIPPED: matplotlib is missing")
            self.skipTest("matplotlib is missing")
        ran = self.run_script(self.file("rows.jsonl", [row()]), "--html", self.folder / "page.html", "--trace",
                              self.folder / "none.json")
        self.assertEqual(ran.returncode, 2)
        self.assertIn("could not read", ran.stderr)

    def test_a_page_that_cannot_be_written_ends_with_1(self) -> None:
        self.page([row()])
        ran = self.run_script(self.file("rows.jsonl", [row()]), "--html", self.folder / "none" / "page.html")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("could not write", ran.stderr)


if __name__ == "__main__":
    unittest.main()
