"""Members that come to an ensemble and go from it while it predicts."""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import signal
import sys
import threading
import weakref

import numpy
import pytest
from conftest import described, images

import tutti


def member(name: str, seed: int) -> dict:
    return {"name": name, "model": {"kind": "fake", "classes": 5}, "seed": seed}


def of(*members: dict) -> dict:
    return described() | {"members": list(members)}


def names(ensemble: tutti.Ensemble) -> list[str]:
    return [one.name for one in ensemble.status().members]


def test_members_come_and_go_and_the_answers_are_those_of_a_fresh_ensemble(opened):
    a, b, c, d = member("a", 1), member("b", 2), member("c", 3), {"name": "d", "model": {"kind": "fake", "classes": 5}}
    ensemble = opened(of(a, b))
    ensemble.add_member(c, device="cpu")
    assert numpy.array_equal(ensemble.predict(images()).values, opened(of(a, b, c)).predict(images()).values)
    ensemble.remove_member("a")
    assert numpy.array_equal(ensemble.predict(images()).values, opened(of(b, c)).predict(images()).values)
    ensemble.add_member("{name: d, model: {kind: fake, classes: 5}}")
    assert names(ensemble) == ["b", "c", "d"]
    assert numpy.array_equal(ensemble.predict(images()).values, opened(of(b, c, d)).predict(images()).values)
    ensemble.replace_member("d", seed=9)
    ensemble.remove_member("b")
    assert numpy.array_equal(ensemble.predict(images()).values,
                             opened(of(c, member("d", 9))).predict(images()).values)
    assert 'name: "d"' in ensemble.yaml and 'name: "a"' not in ensemble.yaml


def test_what_cannot_come_or_go_changes_nothing(opened):
    ensemble = opened(described())
    before = ensemble.predict(images()).values
    for wrong, text in [({"name": "a", "model": {"kind": "fake", "classes": 5}}, "member 2 is called 'a' like member 0"),
                        ({"name": "c", "model": {"kind": "fake", "classes": 4}}, "outputs 4 classes but member 'a' outputs 5"),
                        ({"name": "c", "model": {"kind": "nothing"}}, "nothing"),
                        ("{name: c, model: {kind: fake}}, {name: d, model: {kind: fake}}", "{name: d"),
                        ("[{name: c, model: {kind: fake}}]", "a list"),
                        (3, "a member cannot be a int")]:
        with pytest.raises(tutti.UsageError) as error:
            ensemble.add_member(wrong)
        assert text in str(error.value)
    faults = [{"kind": "exit", "phase": "load"}]
    with pytest.raises(tutti.FailedError, match="c cannot join the ensemble"):
        ensemble.add_member({"name": "c", "model": {"kind": "fake", "classes": 5, "faults": faults}})
    with pytest.raises(tutti.UsageError, match="there is no member 'x' to remove"):
        ensemble.remove_member("x")
    assert names(ensemble) == ["a", "b"] and numpy.array_equal(ensemble.predict(images()).values, before)
    ensemble.remove_member("a")
    with pytest.raises(tutti.UsageError, match="b is the last member"):
        ensemble.remove_member("b")
    with pytest.raises(tutti.UsageError, match="the ensemble has 'coalesce'"):
        opened(described(coalesce={"max_delay_us": 100})).remove_member("a")


def test_closing_ends_the_coming_of_a_member(opened):
    ensemble = opened(described())
    errors = []

    def add() -> None:
        try:
            ensemble.add_member({"name": "c", "model": {"kind": "fake", "classes": 5, "load_delay_ms": 3_000_000}})
        except (tutti.Interrupted, tutti.UsageError) as error:
            errors.append(error.message)

    thread = threading.Thread(target=add)
    thread.start()
    ensemble.close()
    thread.join()
    assert errors[0] in ("the ensemble was closed before this call finished", "the ensemble is closed")
    with pytest.raises(tutti.UsageError, match="the ensemble is closed"):
        ensemble.remove_member("a")


def test_a_member_may_be_weighed_as_only_the_others_allow_and_be_text_in_several_lines(opened):
    ensemble = opened(described(combine={"rule": "weighted"}))
    ensemble.add_member("name: c\nmodel: {kind: fake, classes: 5}\nweight: -0.5")
    weights = described(combine={"rule": "weighted"})
    weights["members"].append({"name": "c", "model": {"kind": "fake", "classes": 5}, "weight": -0.5})
    assert numpy.array_equal(ensemble.predict(images()).values, opened(weights).predict(images()).values)
    ensemble.add_member({"name": "d", "model": {"kind": "fake", "classes": 5}, "weight": 0})
    with pytest.raises(tutti.UsageError, match="the weights sum to 0"):
        ensemble.add_member({"name": "e", "model": {"kind": "fake", "classes": 5}, "weight": -1.5})


def test_a_pattern_that_finds_several_files_adds_no_member(opened, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.pt").touch()
    ensemble = opened(described())
    with pytest.raises(tutti.UsageError, match="one member is added at a time"):
        ensemble.add_member({"glob": str(tmp_path / "*.pt")})
    assert names(ensemble) == ["a", "b"]


def test_what_happens_to_members_is_told(opened):
    told: queue.Queue[tutti.Event] = queue.Queue()
    ensemble = opened(described(), on_event=told.put)

    def next_event() -> tuple[str, str, str]:
        event = told.get(timeout=60)
        return event.kind, event.member, event.text

    ensemble.add_member(member("c", 3))
    assert next_event() == ("joined", "c", "")
    os.kill(ensemble.status().members[2].pid, signal.SIGKILL)
    ensemble.predict(images())
    assert [next_event() for _ in range(3)] == [("died", "c", ""), ("replaced", "c", ""), ("restored", "", "")]
    ensemble.remove_member("c")
    assert next_event() == ("left", "c", "")
    assert told.empty()


def test_a_callback_for_events_may_raise_or_close_the_ensemble(opened, monkeypatch):
    raised = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(str(unraisable.exc_value)))
    closed = threading.Event()

    def on_event(event: tutti.Event) -> None:
        if event.kind == "joined":
            raise RuntimeError(f"{event!r}")
        ensemble.close()
        closed.set()

    ensemble = opened(described(), on_event=on_event)
    ensemble.add_member(member("c", 3))
    ensemble.remove_member("c")
    assert closed.wait(60)
    assert raised == ["<tutti.Event: joined c>"]
    with pytest.raises(tutti.UsageError, match="the ensemble is closed"):
        ensemble.predict(images())


def test_only_a_function_is_told_events_and_it_keeps_no_ensemble():
    with pytest.raises(tutti.UsageError, match="on_event cannot be a list"):
        tutti.Ensemble(described(), on_event=[])

    def made() -> weakref.ref[tutti.Ensemble]:
        ensemble = tutti.Ensemble(described(), on_event=lambda event: print(ensemble, event))
        return weakref.ref(ensemble)

    gone = made()
    gc.collect()
    assert gone() is None


def change_in_child(ensemble: tutti.Ensemble, connection) -> None:
    words = []
    for call in (lambda: ensemble.add_member(member("c", 3)), lambda: ensemble.remove_member("a"),
                 lambda: ensemble.replace_member("a", seed=4)):
        try:
            call()
            words.append("nothing")
        except tutti.UsageError as error:
            words.append(str(error))
    connection.send(words)


def test_a_child_that_was_forked_while_members_changed_gets_an_error(opened):
    ensemble = opened(described())
    ours, theirs = multiprocessing.Pipe()
    with ensemble._replacing:  # as while a member is loaded
        child = multiprocessing.get_context("fork").Process(target=change_in_child, args=(ensemble, theirs))
        child.start()
    for text in ours.recv():
        assert f"was forked from process {os.getpid()}" in text
    child.join()
    assert child.exitcode == 0
