"""When `glink plan` answers from what is known of projects at rest, and when it does not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glink.app import Engine
from glink.cli import unchanged
from glink.cli.main import run
from glink.config import load_config
from glink.jsontext import loads
from glink.reconciler.rest import Rest, at_rest
from glink.reporters.rules import ReporterSpec
from glink.state import Run
from glink.view import View
from tests.resting import CONFIG, ENVIRON, Home

PLAIN = "steps:\n  - {step: 1, agent: good, task: one}\n  - {step: 2, agent: good, task: two}\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def settled(home: Home, text: str = PLAIN) -> None:
    home.write("projects/p/workflow.yaml", text)
    home.run()
    assert home.short("p") == home.said("p")
    assert home.short("p") is not None


def put_back(home: Home, deed: Any) -> None:
    """Do it, and let the bus know no more of projects at rest than it did before: as if an engine had crashed since."""
    kept = home.rest.read_bytes()
    deed()
    home.rest.write_bytes(kept)


def test_projects_at_rest_are_answered_from_what_is_known(home: Home) -> None:
    settled(home)
    short = home.short(None)
    assert short == home.said(None)
    assert [one["project"] for one in short["plans"]] == ["p", "q"]


def test_beside_an_engine_they_are_known_once_nothing_has_happened_for_a_while(home: Home) -> None:
    home.write("projects/p/workflow.yaml", PLAIN)
    home.write("glink-config.yaml", CONFIG.replace("steps: 50", "steps: 50, checkpoint_quiet: 0.01"))
    engine = Engine.open(home.config(), watch=False, sync=False)
    assert home.short(None) is None
    bus = engine.bus
    engine.conductor.run(until=lambda: engine.conductor.quiet and bus.manifest_seq == bus.durable_seq)
    engine.conductor.saver.wait()
    assert home.short(None) == home.said(None) is not None
    home.write("projects/p/workflow.yaml", PLAIN.replace("two", "three"))
    assert home.short(None) is None
    engine.close()


def test_reasons_of_steps_that_are_not_simply_up_to_date_are_known(home: Home) -> None:
    settled(
        home,
        "steps:\n  - {step: 1, agent: good, task: one}\n  - {step: 2, agent: good, task: two, when: 'params.a'}\n"
        "  - {step: 3, agent: good, task: three, after: [2]}\nparams: {a: false}\n",
    )
    assert [one["reason"] for one in home.short("p")["plans"][0]["steps"]] == [
        "up_to_date",
        "condition_false",
        "upstream_skipped",
    ]


@pytest.mark.parametrize("arguments", [["plan"], ["plan", "--json"], ["plan", "p"], ["plan", "q", "--exit-code"]])
def test_the_command_prints_the_same_either_way(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    settled(home)
    monkeypatch.chdir(home.folder)
    for name in [one for one in os.environ if one.startswith("GLINK_")]:
        monkeypatch.delenv(name)
    assert unchanged.plan(arguments[1:], os.environ, home.folder) == 0
    short = capsys.readouterr().out
    monkeypatch.setattr(unchanged, "planned", lambda *_, **__: None)
    assert run(arguments) == 0
    assert capsys.readouterr().out == short


@pytest.mark.parametrize("arguments", [["--server", "x"], ["p", "q"], ["-c", "x"], ["--help"], [""]])
def test_other_arguments_are_for_the_long_way(home: Home, arguments: list[str]) -> None:
    settled(home)
    assert unchanged.plan(arguments, ENVIRON, home.folder) is None


@pytest.mark.parametrize("environ", [{**ENVIRON, "GLINK_PROJECTS_DIR": "elsewhere"}, {}])
def test_settings_from_the_environment_are_for_the_long_way(home: Home, environ: dict[str, str]) -> None:
    settled(home)
    assert unchanged.planned(home.folder, environ, "p", with_revision=True) is None


def test_news_of_a_project_since_then_are_heeded(home: Home) -> None:
    settled(home)
    put_back(home, lambda: home.tell("retry", "p", step="1"))
    assert home.short("p") is None
    assert home.short(None) is None
    assert home.short("q") == home.said("q")
    assert home.short("q") is not None


def test_files_that_a_glob_would_find_are_heeded(home: Home) -> None:
    settled(home, "steps:\n  - {step: 1, agent: good, task: one, inputs: ['data/*']}\n")
    home.write("projects/p/data/_hidden_from_watching", "b")
    assert home.said("p")["plans"][0]["steps"][0]["reason"] == "input_changed"
    assert home.short("p") is None


def test_a_body_that_a_task_is_rendered_with_must_be_there(home: Home) -> None:
    long = "x" * 700
    settled(
        home,
        f"steps:\n  - {{step: 1, agent: good, task: {long}}}\n"
        "  - {step: 2, agent: good, task: 'of {{ steps[1].output }}'}\n",
    )
    [body] = [
        path for path in (home.folder / "bus" / "blobs" / "sha256").glob("*/*") if path.read_bytes() == long.encode()
    ]
    body.unlink()
    assert home.said("p")["plans"][0]["steps"][1]["decision"] == "fail"
    assert home.short("p") is None


def test_a_condition_on_what_is_on_the_bus_elsewhere_is_judged_the_long_way(home: Home) -> None:
    text = "steps:\n  - {step: 1, agent: good, task: one, when: \"bus.latest('news', project='q') is none\"}\n"
    home.write("projects/p/workflow.yaml", text)
    home.run()
    put_back(home, lambda: home.tell("write", "q", events=[{"project": "q", "type": "news", "data": {}}]))
    assert home.short("p") is None


def test_a_file_that_could_not_be_read_is_not_at_rest_although_its_last_good_version_is(home: Home) -> None:
    settled(home)
    home.write("projects/q.yaml", "steps: {\n")
    home.run()
    assert home.short("q") is None
    assert home.short("p") == home.said("p")


def test_what_was_submitted_is_known_until_files_of_its_name_come(home: Home) -> None:
    settled(home)
    home.submit("s")
    assert home.short("s") == home.said("s")
    assert home.short("s") is not None
    assert home.short(None) == home.said(None)
    home.write("projects/s.yaml", PLAIN)
    assert home.short("s") is None


def test_files_that_a_submitted_project_had_before_are_not_its_own_any_more(home: Home) -> None:
    settled(home)
    home.submit("s")
    view = View.take(home.config())
    desk = view.desk("s")
    assert desk.board is not None
    desk.board.refresh(None, view.clock.now())
    desk.loaded = view.loaded["q"]
    known = at_rest(desk, desk.board)
    assert known is not None
    assert known["sources"] == {}


def test_one_project_that_is_not_at_rest_leaves_all_to_the_long_way(home: Home) -> None:
    settled(home)
    home.submit("s", agent="bad")
    assert home.short("s") is None
    assert home.short(None) is None
    assert home.short("p") == home.said("p")


def test_a_project_that_is_gone_has_no_plan(home: Home) -> None:
    settled(home)
    (home.projects / "q.yaml").unlink()
    assert home.short(None) is None
    home.run()
    assert home.short(None) == home.said(None)
    assert [one["project"] for one in home.short(None)["plans"]] == ["p"]


@pytest.mark.parametrize("name", ["no name.yaml", "Q.yml"])
def test_a_file_that_is_refused_by_its_name_is_told_the_long_way(home: Home, name: str) -> None:
    settled(home)
    home.write(f"projects/{name}", PLAIN)
    assert home.said(None)["invalid"]
    assert home.short(None) is None


def test_a_folder_with_too_many_files_is_told_the_long_way(home: Home) -> None:
    home.write("glink-config.yaml", CONFIG.replace("steps: 50", "steps: 50, project_files: 5"))
    settled(home)
    for number in range(5):
        home.write(f"projects/p/more{number}.md", "x")
    assert home.said("p")["invalid"]
    assert home.short("p") is None


def test_what_is_known_is_of_this_log(home: Home) -> None:
    settled(home)
    other = Home(home.folder / "other")
    settled(other)
    home.rest.write_bytes(other.rest.read_bytes())
    assert home.short("p") is None


def test_what_is_damaged_or_of_another_version_is_not_known(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(home)
    monkeypatch.setattr(unchanged, "__version__", "0")
    assert home.short("p") is None
    monkeypatch.undo()
    home.rest.write_bytes(home.rest.read_bytes().replace(b'"reasons"', b'"reasonz"'))
    assert home.short("p") is None


def test_nothing_is_known_where_more_than_the_configurations_text_decides_what_it_means(home: Home) -> None:
    settled(home)
    config = home.config()
    assert Rest(config, {}).packed() is not None
    foreign = replace(config, agents={"good": replace(config.agents["good"], kind="brought")})
    assert Rest(foreign, {}).packed() is None
    assert Rest(replace(config, reporting=(ReporterSpec("brought", {}),)), {}).packed() is None
    elsewhere = load_config(None, environ={**ENVIRON, "GLINK_BUS_DIR": "elsewhere"}, folder=home.folder)
    assert Rest(elsewhere, {}).packed() is None


def test_a_project_is_looked_at_again_when_it_changed(home: Home) -> None:
    settled(home)
    engine = Engine.open(home.config(), watch=False, sync=False)
    try:
        rest = Rest(home.config(), engine.conductor.desks)
        assert loads(rest.packed() or b"")["projects"] == {}  # nothing is decided yet
        engine.conductor.turn(0)
        before = loads(rest.packed() or b"")["projects"]["q"]
        home.write("projects/q.yaml", PLAIN)
        seen = engine.source.scan()
        for content in seen.projects["q"].blobs.values():
            assert isinstance(content, bytes)
            engine.bus.blobs.put(content)
        engine.inbox.put(seen)
        for _ in range(10):
            engine.conductor.turn(0)
        after = loads(rest.packed() or b"")["projects"]["q"]
        engine.conductor.desks["q"].touch(None)
        assert "q" not in loads(rest.packed() or b"")["projects"]
    finally:
        engine.close()
    assert before["sources"].keys() == after["sources"].keys() == {"q.yaml"}
    assert (before["generation"], after["generation"]) == (1, 2)
    assert before["sources"] != after["sources"]


def test_a_plan_with_something_to_do_is_not_at_rest(home: Home) -> None:
    settled(home)
    home.write("projects/p/workflow.yaml", PLAIN.replace("two", "three"))
    home.run()
    home.write("projects/p/workflow.yaml", PLAIN)
    view = View.take(home.config(), ["p"])
    desk = view.desk("p")
    assert desk.board is not None
    desk.loaded = view.loaded["p"]
    desk.board.refresh(None, view.clock.now())
    assert at_rest(desk, desk.board) is None  # an earlier answer is to be restored
    home.run()
    view = View.take(home.config(), ["p"])
    desk = view.desk("p")
    assert desk.board is not None
    desk.loaded = view.loaded["p"]
    desk.board.refresh(None, view.clock.now())
    assert at_rest(desk, desk.board) is not None
    desk.state.run = Run(9, "")
    assert at_rest(desk, desk.board) is None  # a run is to be ended


def test_a_step_that_answered_otherwise_since_it_was_decided_on_is_not_at_rest(home: Home) -> None:
    settled(home)
    view = View.take(home.config(), ["p"])
    desk = view.desk("p")
    assert desk.board is not None
    desk.loaded, desk.dirty = view.loaded["p"], {"1"}
    desk.board.refresh(None, view.clock.now())
    assert at_rest(desk, desk.board) is not None
    past = desk.state.steps["1"]
    assert past.answer is not None
    past.answer = replace(past.answer, digest="another")
    assert at_rest(desk, desk.board) is None


def test_a_project_that_cannot_be_decided_on_is_not_at_rest_and_stops_no_checkpoint(home: Home) -> None:
    settled(home)
    view = View.take(home.config())
    for name, desk in view.desks.items():
        assert desk.board is not None
        desk.board.refresh(None, view.clock.now())
        desk.loaded, desk.dirty = view.loaded[name], set()
    broken = view.desk("p")
    broken.dirty, broken.state.steps["1"].lapse = {"1"}, "no lapse"  # type: ignore[assignment]
    known = loads(Rest(home.config(), view.desks).packed() or b"")
    assert known["projects"].keys() == {"q"}
    assert not known["all"]


def test_the_long_way_is_not_imported(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """What it takes to answer from what is known must stay little."""
    import subprocess
    import sys

    settled(home)
    script = (
        "import sys; from pathlib import Path; from glink.cli.main import run; code = run(['plan', '--json']); "
        "print([one for one in ('pydantic', 'yaml', 'typer', 'jinja2', 'glink.view') if one in sys.modules]); sys.exit(code)"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GLINK_")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=home.folder, env=environ, check=True, capture_output=True, text=True
    )
    assert done.stdout.endswith("\n[]\n")
    assert json.loads(done.stdout.removesuffix("[]\n"))["plans"]
