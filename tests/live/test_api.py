"""The API of a running engine: the first quick start as written, submissions, notes, control verbs, and who may."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glink.server.auth import digest_of
from tests.live.served import TOKEN, Served, needs, served

ROOT = Path(__file__).parents[2]
HELLO = {"project": "hello-world", "steps": [{"step": 1, "agent": "agent-a", "task": "Say hello"}]}
CONFIG = f"""\
agents: {{agent-a: {{type: echo}}, slow: {{type: echo, delay: 60s}}}}
tokens:
  - {{name: reader, sha256: {digest_of("reader")}, may: [read], projects: ["team-a/*"]}}
  - {{name: writer, sha256: {digest_of("writer")}, may: [read, write, control], projects: ["team-a/*"]}}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("api"),
        CONFIG,
        declared="steps: [{step: 1, agent: agent-a, task: 'as declared'}]\n",
        broken="steps: [{step: 1, agent: agent-a, tsk: x}]\n",
    ) as running:
        running.settled("declared")
        yield running


def test_the_quick_start_as_it_was_written(tmp_path: Path) -> None:
    """Serve only, the two curls, `hello-world` settled, `/status/project` showing it."""
    needs("curl")
    home = Served(tmp_path)
    for name in ("projects", "agents"):
        shutil.copytree(ROOT / name, tmp_path / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "glink-config.yaml", tmp_path)
    home.start("my-project", "--serve", program=(str(ROOT / "glink-daemon.py"),))
    try:
        curl = ["curl", "-s", "-H", f"X-API-Key: {TOKEN}"]
        submit = [*curl, "-X", "POST", f"{home.url}/workflow/run", "-H", "Content-Type: application/json"]
        body = '{"project": "hello-world", "steps": [{"step": 1, "agent": "agent-a", "task": "Say hello"}]}'
        assert '"run":1' in subprocess.run([*submit, "-d", body], capture_output=True, text=True, check=True).stdout
        home.settled("hello-world")
        shown = subprocess.run([*curl, f"{home.url}/status/project"], capture_output=True, text=True, check=True).stdout
        assert '"project":"hello-world","sync":"Synced","health":"Healthy"' in shown
        _, others = home.ask("GET", "/projects?detail=1")
        untouched = [one for one in others["projects"] if one["project"] != "hello-world"]
        assert {row["reason"] for one in untouched for row in one["steps"]} == {"serve_only", "waiting_for"}
        assert home.ask("POST", "/workflow/run", {"steps": HELLO["steps"]})[1]["project"] == "my-project"
    finally:
        home.stop()


def test_the_script_finds_the_environment_beside_it(tmp_path: Path) -> None:
    """An interpreter without Glink hands over to `.venv/bin/python`."""
    shutil.copy(ROOT / "glink-daemon.py", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    stand_in = tmp_path / ".venv/bin/python"
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    stand_in.chmod(0o755)
    bare = [sys._base_executable, "-S", str(tmp_path / "glink-daemon.py"), "--help"]  # type: ignore[attr-defined]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(bare, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert "--serve-only" in done.stdout, done.stderr


def test_a_submission_is_accepted_run_and_shown(engine: Served) -> None:
    status, answer = engine.ask("POST", "/workflow/run", {"project": "submitted/one", "steps": HELLO["steps"]})
    assert (status, answer["run"], answer["generation"]) == (202, 1, 1)
    shown = engine.settled("submitted/one")
    assert (shown["sync"], shown["steps"][0]["output"]) == ("Synced", "Say hello")
    assert "submitted/one" in engine.ask("GET", "/projects")[1]["projects"]


def test_a_submission_is_held_against_the_vocabulary_mistake_by_mistake(engine: Served) -> None:
    steps = [{"step": 1, "agent": "agent-b", "tsk": "x"}, {"step": 1, "agent": "agent-a", "task": "{{ nothing }}"}]
    status, answer = engine.ask("POST", "/workflow/run", {"project": "wrong", "steps": steps})
    assert status == 422
    told = {one["where"]: f"{one['what']}; {one['cure']}" for one in answer["errors"]}
    assert told["steps[0].tsk"] == 'unknown key; did you mean "task"?'
    assert told["steps[1].step"].startswith('the id "1" is taken by the step in steps[0]')
    assert told["steps[1].task"].startswith("`nothing` is not offered")
    assert engine.ask("GET", "/status/project?project=wrong")[0] == 404


def test_what_projects_own_is_refused_unless_it_is_equal(engine: Served) -> None:
    other = {"project": "declared", "steps": [{"step": 1, "agent": "agent-a", "task": "another"}]}
    assert engine.ask("POST", "/workflow/run", other)[0] == 409
    before = engine.settled("declared")["run"]["number"]
    equal = {"project": "declared", "steps": [{"step": 1, "agent": "agent-a", "task": "as declared"}]}
    assert engine.ask("POST", "/workflow/run", equal)[1]["run"] == before + 1
    engine.settled("declared", before + 1)
    invalid = {"project": "broken", "steps": [{"step": 1, "agent": "agent-a", "task": "x"}]}
    assert engine.ask("POST", "/workflow/run", invalid)[0] == 409


def test_the_same_key_is_one_run_and_another_body_is_refused(engine: Served) -> None:
    body: dict[str, Any] = {"project": "keyed", "steps": HELLO["steps"]}
    first = engine.ask("POST", "/workflow/run", body, **{"Idempotency-Key": "k1"})
    engine.settled("keyed")
    assert engine.ask("POST", "/workflow/run", body, **{"Idempotency-Key": "k1"}) == first
    assert engine.ask("POST", "/workflow/run", {**body, "force": True}, **{"Idempotency-Key": "k1"})[0] == 422


def test_a_key_is_good_over_a_kill(tmp_path: Path) -> None:
    """The second engine answers as the first did, and runs nothing again."""
    body: dict[str, Any] = {"project": "keyed", "steps": HELLO["steps"]}
    with served(tmp_path, CONFIG) as home:
        first = home.ask("POST", "/workflow/run", body, **{"Idempotency-Key": "k1"})[1]
        home.settled("keyed")
        home.stop(9)  # type: ignore[arg-type]
        home.start()
        again = home.ask("POST", "/workflow/run", body, **{"Idempotency-Key": "k1"})[1]
        assert (again["run"], first["run"]) == (1, 1)
        assert home.settled("keyed")["run"]["number"] == 1


def test_notes_are_written_and_read(engine: Served) -> None:
    status, answer = engine.ask("POST", "/write", {"project": "declared", "type": "note.hello", "data": {"a": 1}})
    assert status == 201
    _, shown = engine.ask("GET", "/events?project=declared&type=note.*")
    assert (shown["seq"], shown["data"]) == (answer["seq"], {"a": 1, "_by": "api"})
    many = [{"project": "declared", "type": "note.many", "data": {"n": number}} for number in range(3)]
    status, answer = engine.ask("POST", "/write", many)
    assert (status, len(answer["seqs"])) == (201, 3)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"project": "nobody", "type": "note.x"}, 404),
        ({"project": "declared", "type": "step.succeeded"}, 403),
        ({"project": "declared", "type": "engine.started"}, 403),
        ({"project": "declared", "type": "Note"}, 422),
        ({"project": "declared", "type": "note.x", "data": {"_by": "me"}}, 400),
        ({"project": "declared", "type": "step.cancel", "step": 9}, 404),
        ({"project": "declared", "type": "step.retry", "data": {"x": 1}}, 422),
        ({"project": "declared", "type": "note.x", "unknown": 1}, 422),
        ({"type": "note.x"}, 422),
        ({"project": "../x", "type": "note.x"}, 400),
        ([], 422),
        ("x", 422),
    ],
)
def test_what_is_not_to_be_written_is_refused(engine: Served, event: Any, status: int) -> None:
    assert engine.ask("POST", "/write", event)[0] == status


def test_control_verbs_go_by_the_table_of_the_command_line(engine: Served) -> None:
    engine.ask("POST", "/workflow/run", {"project": "slow", "steps": [{"step": 1, "agent": "slow", "task": "x"}]})
    status, answer = engine.ask("POST", "/write", {"project": "slow", "type": "step.cancel", "step": 1})
    assert (status, answer["steps"]) == (200, ["1"])
    assert engine.ask("POST", "/write", {"project": "slow", "type": "project.suspend"})[0] == 200
    shown = engine.ask("GET", "/status/project?project=slow")[1]
    assert shown["steps"][0]["status"] == "cancelled"
    assert "Suspended" in {one["type"] for one in shown["conditions"]}
    assert engine.ask("POST", "/write", {"project": "slow", "type": "project.resume"})[0] == 200
    assert engine.ask("POST", "/write", {"project": "slow", "type": "project.delete"})[0] == 200
    assert engine.ask("GET", "/status/project?project=slow")[0] == 404
    refused = engine.ask("POST", "/write", {"project": "declared", "type": "project.delete"})
    assert (refused[0], refused[1]["error"]) == (409, "Refused")


def test_a_token_does_what_it_may_to_its_projects_alone(engine: Served) -> None:
    own = {"project": "team-a/x", "steps": HELLO["steps"]}
    assert engine.ask("POST", "/workflow/run", own, token=None)[0] == 401
    assert engine.ask("POST", "/workflow/run", own, token="nobody's")[0] == 401
    assert engine.ask("POST", "/workflow/run", own, token="reader")[0] == 403
    assert engine.ask("POST", "/workflow/run", own, token="writer")[0] == 202
    assert engine.ask("POST", "/workflow/run", {**own, "project": "other"}, token="writer")[0] == 403
    engine.settled("team-a/x")
    assert engine.ask("GET", "/projects", token="reader")[1]["projects"] == ["team-a/x"]
    for path in (
        "/status/project?project=declared",
        "/projects/declared/why",
        "/projects/declared/steps/1/output",
        "/",
        "/metrics",
    ):
        assert engine.ask("GET", path, token="reader")[0] == 403, path
    assert engine.ask("GET", "/projects/team-a/x/steps/1/output", token="reader")[1]["output"] == "Say hello"
    assert {one["project"] for one in engine.ask("GET", "/projects?detail=1", token="reader")[1]["projects"]} == {
        "team-a/x"
    }


def test_a_project_that_cannot_be_read_is_shown_with_its_errors(engine: Served) -> None:
    _, shown = engine.ask("GET", "/status/project?project=broken")
    assert shown["sync"] == "Unknown"
    assert shown["errors"][0]["line"] == 1


def test_the_engine_says_how_it_is(engine: Served) -> None:
    status, shown = engine.ask("GET", "/status")
    assert (status, shown["watch"]["mode"], shown["agents"]["agent-a"]["kind"]) == (200, "inotify", "echo")
    assert shown["durable_seq"] > 0
    assert engine.ask("GET", "/health", token=None)[1]["status"] == "ok"


def test_a_commit_is_applied_superseded_or_unknown(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    home = Served(tmp_path)
    home.config(CONFIG)
    (tmp_path / ".gitignore").write_text("bus\nstate\nup.log\n")
    home.project("p", "steps: [{step: 1, agent: agent-a, task: one}]\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    first = git("rev-parse", "HEAD")
    home.start()
    try:
        home.settled("p")
        assert home.ask("GET", f"/status/project?project=p&commit={first}")[1]["status"] == "applied"
        home.project("p", "steps: [{step: 1, agent: agent-a, task: two}]\n")
        git("commit", "-qam", "two")
        home.settled("p", 2)
        assert home.glink("sync", "p").returncode == 0
        assert home.ask("GET", f"/status/project?project=p&commit={first[:12]}")[1]["status"] == "superseded"
        second = git("rev-parse", "HEAD")
        assert home.ask("GET", f"/status/project?project=p&commit={second}")[1]["status"] == "applied"
        assert home.ask("GET", f"/status/project?project=p&commit={'a' * 40}")[1]["status"] == "unknown"
    finally:
        home.stop()


def test_metrics_come_from_the_running_engine(engine: Served) -> None:
    status, text = engine.ask("GET", "/metrics")
    assert status == 200
    seq = re.search(r"^glink_bus_seq (\S+)$", text, re.MULTILINE)
    assert seq is not None
    assert float(seq[1]) > 0
    for failures in ("retention", "checkpoint"):
        assert f"glink_{failures}_failures_total 0.0\n" in text
