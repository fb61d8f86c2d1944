"""Recent runs, attempts and events, folded from records that the engine really wrote."""

from __future__ import annotations

from pathlib import Path

from glink.limits import Limits
from glink.pages.past import Pasts
from glink.pages.timeline import timeline
from tests.rig import START, step, workflow
from tests.sites import Site, coffee


def test_a_run_is_known_from_its_first_record_to_its_end(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.rig.observe(workflow("p", step("1"), step("2", after=("1",))))
    site.play(lambda job: "ok", seconds=lambda job: 2.0)
    past = site.pasts().of_project("p")
    assert [(run.number, run.status) for run in past.runs] == [(1, "succeeded")]
    assert [(one.step, one.sign) for one in past.attempts.values()] == [("1", "done"), ("2", "done")]


def test_requests_behind_an_open_run_begin_when_it_has_settled(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.rig.observe(workflow("p", step("1")))
    site.rig.ask("run", "p", force=True)
    assert [run.number for run in site.pasts().of_project("p").runs] == [1]
    site.play(lambda job: "ok", seconds=lambda job: 1.0)
    runs = site.pasts().of_project("p").runs
    assert [(run.number, run.status) for run in runs] == [(1, "succeeded"), (2, "succeeded")]
    assert runs[0].ended <= runs[1].began


def test_the_timeline_is_of_the_newest_run_alone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.rig.observe(workflow("p", step("1", "one"), step("2", "two")))
    site.play(lambda job: "ok", seconds=lambda job: 1.0)
    site.rig.observe(workflow("p", step("1", "one"), step("2", "TWO")))
    site.play(lambda job: "ok", seconds=lambda job: 1.0)
    shown = timeline(site.pasts().of_project("p"), site.rig.time.at)
    assert shown is not None
    assert (shown.number, shown.status, [lane.step for lane in shown.lanes]) == (2, "succeeded", ["2"])


def test_bars_lie_where_the_attempts_lay_and_what_runs_goes_on_until_now(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.rig.observe(workflow("p", step("1"), step("2", after=("1",))))
    site.play(lambda job: "ok", seconds=lambda job: 30.0 if job.task.step == "1" else None)
    shown = timeline(site.pasts().of_project("p"), START + 40)
    assert shown is not None
    first, second = shown.lanes
    assert [(bar.left, bar.width, bar.sign) for bar in first.bars] == [(0.0, 75.0, "done")]
    assert [(bar.left, bar.width, bar.sign) for bar in second.bars] == [(75.0, 25.0, "running")]
    assert (shown.length, first.length, second.length) == ("40 s", "30 s", "10 s")
    assert [said for _, said in shown.ticks] == ["0", "10 s", "20 s", "30 s", "40 s"]


def test_each_try_is_a_bar_of_its_own(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.rig.observe(workflow("p", step("1", retry={"attempts": 3, "delay": 5, "jitter": False})))
    tried: list[int] = []

    def answer(job: object) -> Exception | str:
        tried.append(1)
        return ValueError("transient") if len(tried) < 3 else "ok"

    site.rig.settle(answer)
    shown = timeline(site.pasts().of_project("p"), site.rig.time.at)
    assert shown is not None
    assert [bar.sign for bar in shown.lanes[0].bars] == ["failed", "failed", "done"]


def test_restored_and_skipped_steps_are_moments(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for task in ("one", "two", "one"):
        site.rig.observe(workflow("p", step("1", task), step("2", "x", ("1",), when="false")))
        site.play(lambda job: job.task.bare, seconds=lambda job: 1.0)
    shown = timeline(site.pasts().of_project("p"), site.rig.time.at)
    assert shown is not None
    assert [(lane.step, lane.length) for lane in shown.lanes] == [("1", "restored")]


def test_memory_is_bounded_for_each_project(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(8):
        steps = [step(str(one), f"{number}") for one in range(1, 6)]
        site.rig.observe(workflow("p", *steps))
        site.rig.settle()
    past = Pasts.of(site.rig.records, Limits(page_runs=3, page_events=4, page_attempts=2)).of_project("p")
    assert [run.number for run in past.runs] == [6, 7, 8]
    assert (len(past.events), len(past.attempts), past.left_out) == (4, 2, 3)


def test_taking_records_twice_or_with_a_gap_changes_nothing_but_what_is_missing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    coffee(site)
    records = site.rig.records
    once, twice = Pasts.of(records, site.limits), Pasts.of([*records, *records], site.limits)
    assert once.of_project("team-a/coffee-cards") == twice.of_project("team-a/coffee-cards")
    late = Pasts.of(records[len(records) // 2 :], site.limits)
    assert late.seq == once.seq
    assert timeline(late.of_project("team-a/coffee-cards"), site.rig.time.at) is not None


def test_nothing_known_is_no_timeline() -> None:
    assert timeline(Pasts(Limits()).of_project("p"), START) is None
