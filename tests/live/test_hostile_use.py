"""The command line and the daemon in the hands of somebody who does not follow the path: each answer is honest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from glink.channel import ask
from glink.clock import wait_for
from tests.live.test_daemon import CONFIG, TWO, Home

WORK = 'steps:\n  - {step: 1, agent: slow, task: "work"}\n  - {step: 2, agent: slow, task: "too", after: []}\n'


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait(30)
    (tmp_path / "go").touch()


def at_work(place: Home, count: int) -> bool:
    calls = place.path / "calls"
    return wait_for(lambda: calls.exists() and len(calls.read_text().splitlines()) == count, seconds=20)


def test_an_engine_for_some_projects_speaks_of_them_alone(place: Home) -> None:
    place.write("p", TWO)
    place.write("q", "steps: [")
    done = place.glink("up", "p", "--once", "--json")
    assert (done.returncode, [one["project"] for one in json.loads(done.stdout)]) == (0, ["p"])


def test_a_project_that_is_not_there_is_said_by_every_verb_with_the_name_that_was_meant(place: Home) -> None:
    place.write("prices", TWO)
    place.glink("up", "--once")
    for verb in (["up", "price", "--once"], ["events", "price"], ["status", "price"], ["plan", "price"]):
        done = place.glink(*verb)
        assert (done.returncode, done.stderr) == (2, "glink: no project price; did you mean prices?\n"), verb


def test_wrong_use_is_an_object_under_json_and_no_use_is_answered_by_the_help(place: Home) -> None:
    wrong = place.glink("status", "a", "b", "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)["error"]) == (2, "UsageError")
    none = place.glink()
    assert (none.returncode, none.stdout.splitlines()[0]) == (2, "Usage: python -m glink [OPTIONS] COMMAND [ARGS]...")


def test_an_agent_that_is_not_declared_any_more_stops_no_engine(place: Home) -> None:
    place.write("p", WORK)
    place.write("q", TWO)
    place.up()
    assert at_work(place, 2)
    place.end(signal.SIGKILL)
    (place.path / "glink-config.yaml").write_text("agents: {echo: {type: echo}}\n")
    done = place.glink("up", "--once")
    assert (done.returncode, done.stderr) == (1, "")
    said = [one["data"]["message"] for one in place.events() if one["type"] == "step.failed"]
    assert said == ["slow is not declared any more, so nobody takes its answer"] * 2
    assert {row["reason"] for row in place.status("p")["steps"]} == {"no_worker"}


def test_following_ends_where_nothing_moves_by_itself(place: Home) -> None:
    place.write("p", TWO.replace("agent: echo", "agent: slow", 1))
    place.up()
    assert at_work(place, 1)
    assert place.glink("cancel", "p", "1").returncode == 0
    assert wait_for(lambda: "run.settled" in {one["type"] for one in place.events()}, seconds=20, every=0.2)
    done = place.glink("sync", "p")
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        ["p: OutOfSync, Degraded", "  step 1: cancelled", "  step 2: a step before it failed: step 1 cancelled"],
    )


def test_a_cancel_without_a_daemon_ends_its_step_and_waits_for_no_other(place: Home) -> None:
    place.write("p", WORK)
    place.up()
    assert at_work(place, 2)
    place.end(signal.SIGKILL)
    assert place.glink("cancel", "p", "1").returncode == 0
    assert [row["reason"] for row in place.status("p")["steps"]] == ["cancelled", "in_flight"]
    (place.path / "go").touch()
    assert place.glink("up", "--once").returncode == 1
    assert place.glink("output", "p", "2").stdout == "done: too\n"
    assert sorted(place.dispatched()) == ["1", "2"]


def test_a_step_without_a_place_says_so_beside_a_daemon(place: Home) -> None:
    (place.path / "glink-config.yaml").write_text(CONFIG.replace("exit_record: true", "concurrency: 1"))
    place.write("p", WORK)
    place.up()
    assert at_work(place, 1)
    assert [row["reason"] for row in place.status("p")["steps"]] == ["in_flight", "no_slot"]


def git(place: Home, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", *arguments]
    return subprocess.run(command, cwd=place.path, capture_output=True, text=True, check=True).stdout.strip()


def test_why_names_the_commit_that_brought_a_change_and_the_chain_before_it(place: Home) -> None:
    git(place, "init", "-q", "-b", "main")
    (place.path / ".gitignore").write_text("bus\nwork\n")
    place.write("p", TWO)
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "First")
    place.glink("up", "--once")
    place.write("p", TWO.replace('"one"', '"ONE"'))
    git(place, "commit", "-q", "-a", "-m", "Louder, please")
    sha = git(place, "rev-parse", "HEAD")
    before = json.loads(place.glink("why", "p", "1", "--json").stdout)
    assert [(one["by"], one["commit"]["sha"], one["commit"]["subject"]) for one in before["causes"]] == [
        ("edit", sha, "Louder, please")
    ]
    place.glink("up", "--once")
    told = place.glink("why", "p", "2").stdout
    assert "differed in context: another answer of step 1\n" in told
    assert "  before it, step 1: succeeded: up to date\n" in told
    assert f"    differed in task: edited in generation 2, main@sha1:{sha}\n" in told
    assert f"      commit {sha} by Ana, " in told
    place.write("p", TWO.replace('"one"', '"one more"'))
    (cause,) = json.loads(place.glink("why", "p", "1", "--json").stdout)["causes"]
    assert (cause["revision"].split("+")[1][:5], cause["commit"]) == ("dirty", None)


def test_why_of_a_project_says_who_asked_last_what_waits_and_what_was_passed_over(place: Home) -> None:
    place.write("p", TWO.replace("agent: echo", "agent: slow", 1))
    place.up()
    assert at_work(place, 1)
    for number in range(2):
        place.write("p", TWO.replace("agent: echo", "agent: slow", 1).replace('"one"', f'"{number}"'))
        assert wait_for(lambda n=number: place.status("p")["generation"] == n + 2, seconds=20, every=0.2)  # type: ignore[misc]
    request = Thread(target=place.glink, args=("run", "p", "--force"))
    request.start()
    assert wait_for(lambda: "#2: request, every step" in place.glink("why", "p").stdout, seconds=20, every=0.2)
    told = place.glink("why", "p").stdout
    assert "last asked for: #2 by " in told
    assert told.count("replaced before it settled") == 2
    assert "passed over: generation 2 of files@sha256:" in told
    (place.path / "go").touch()
    request.join(60)


def test_a_step_that_is_gone_is_orphaned_and_what_it_answered_is_kept(place: Home) -> None:
    place.write("p", TWO)
    place.glink("up", "--once")
    place.write("p", "\n".join(TWO.splitlines()[:-1]) + "\n")
    place.glink("up", "--once")
    assert place.glink("why", "p", "2").stdout.startswith("p step 2: succeeded: its file or step is gone\n")
    assert place.glink("output", "p", "2").stdout == "one two\n"
    (place.path / "projects" / "p.yaml").unlink()
    assert [row["reason"] for row in place.status("p")["steps"]] == ["orphaned", "orphaned"]


def test_a_problem_without_a_place_in_its_file_shows_none(place: Home) -> None:
    (place.path / "projects" / "-rf.yaml").write_text(TWO)
    (line,) = [
        one for one in place.glink("status", "--", "-rf").stdout.splitlines() if "rename" in one and "=" not in one
    ]
    assert line.startswith('  projects/-rf.yaml: the name has a part "-rf" that is not letters')
    assert place.glink("why", "--", "-rf").stdout.splitlines()[2].startswith("invalid: projects/-rf.yaml: the name")


def test_a_run_takes_what_was_saved_before_it_was_asked_for(place: Home) -> None:
    """Nothing runs with the text from before, which nobody wants any more."""
    one = "steps:\n  - {step: 1, agent: echo, task: 'text %s'}\n"
    place.write("p", one % "0")
    place.up()
    assert place.settled("p")
    for number in range(1, 6):
        place.write("p", one % number)
        ask(place.path / "bus", "run", "p", {"force": number % 2 == 0, "params": {}}, "test")
        assert place.settled("p")
    story = [one["type"] for one in place.events() if one["type"] in ("workflow.changed", "run.requested")]
    assert story == ["workflow.changed", *["workflow.changed", "run.requested"] * 5]


def test_closed_streams_are_nobody_to_speak_to(place: Home) -> None:
    place.write("p", TWO)
    for verb in ("status", "validate", "plan"):
        command = ["sh", "-c", f"{sys.executable} -m glink {verb} >&- 2>&-"]
        assert subprocess.run(command, cwd=place.path, check=False).returncode == 0, verb


def test_the_chain_leads_to_the_step_that_all_others_wait_for_however_far_it_is(place: Home) -> None:
    steps = [f'  - {{step: {number}, agent: echo, task: "{number}"}}' for number in range(200)]
    place.write("p", "\n".join(["steps:", *steps, ""]))
    place.glink("up", "--once")
    steps[0] = steps[0].replace('"0"', '"new"')
    place.write("p", "\n".join(["steps:", *steps, ""]))
    why = json.loads(place.glink("why", "p", "199", "--json").stdout)
    assert (why["reason"], why["holder"]) == ("waiting_for", "198")
    assert [(one["step"], one["reason"]) for one in why["chain"]] == [("0", "task_changed")]
