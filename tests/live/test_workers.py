"""Workers over the API alone: the shell script of the docs, `glink worker`, stale fences, keys, bodies, leases."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from glink.clock import wait_for
from glink.server.auth import digest_of
from tests.live.served import TOKEN, Served, needs, served

SCRIPT = re.search(r"```sh\n(say\(\).*?)```", (Path(__file__).parents[2] / "docs/workers.md").read_text(), re.DOTALL)
CONFIG = f"""\
agents:
  coder: {{type: pull, lease: 2s}}
  other: {{type: pull}}
  say: {{type: echo}}
commands:
  sh: {{exec: [sh]}}
tokens:
  - {{name: coders, sha256: {digest_of("coders")}, may: [read, "work:coder"]}}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "home", CONFIG) as running:
        yield running


def offered(engine: Served, name: str, steps: str) -> None:
    engine.project(name, f"steps:\n{steps}")
    assert wait_for(
        lambda: "step.offered" in str(engine.ask("GET", f"/events?project={name}")[1]), seconds=30, every=0.1
    )


def claim(engine: Served, name: str, worker: str = "w1", step: str = "1") -> tuple[int, Any]:
    return engine.ask(
        "POST", "/write", {"type": "step.claim", "project": name, "step": step, "agent": "coder", "worker": worker}
    )


def put(engine: Served, path: str, data: bytes) -> int:
    headers = {"X-API-Key": "coders", "Content-Type": "application/octet-stream"}
    try:
        with urlopen(Request(engine.url + path, data=data, method="PUT", headers=headers), timeout=60) as answer:
            return int(answer.status)
    except HTTPError as refusal:
        return refusal.code


@pytest.fixture
def shell(engine: Served) -> Iterator[Any]:
    """Starts the docs' worker; ends it with its children."""
    assert SCRIPT is not None
    needs("curl", "jq")
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        environment = os.environ | {"URL": engine.url, "TOKEN": "coders", "AGENT": "coder"}
        process = subprocess.Popen(["sh", "-c", SCRIPT[1]], env=environment, start_new_session=True)
        running.append(process)
        return process

    yield start
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_docs_script_is_ten_lines_and_does_the_steps(engine: Served, shell: Any) -> None:
    """A step offered before it came and one offered after, and what follows from their answers."""
    assert SCRIPT is not None
    assert len(SCRIPT[1].splitlines()) == 10
    offered(
        engine,
        "one",
        "- {step: 1, agent: coder, task: hello}\n- {step: 2, agent: say, task: 'got {{ steps[1].output }}', after: [1]}\n",
    )
    shell()
    assert engine.settled("one")["steps"][1]["output"] == "got olleh"
    engine.project("two", "steps: [{step: 1, agent: coder, task: again}]\n")
    assert engine.settled("two")["steps"][0]["output"] == "niaga"


def test_a_worker_that_is_killed_in_the_middle_loses_its_step_after_the_lease(engine: Served, shell: Any) -> None:
    """Then it is offered again, and another worker does it, as the next attempt."""
    offered(engine, "p", "- {step: 1, agent: coder, task: hello, retry: {delay: 0s}}\n")
    status, given = claim(engine, "p", "who will be killed")
    assert (status, given["attempt"], given["lease"]) == (200, 1, 2)
    shell()
    shown = engine.settled("p")
    assert (shown["steps"][0]["output"], shown["steps"][0]["attempts"]) == ("olleh", 2)
    _, late = engine.ask(
        "POST",
        "/write",
        {"type": "step.result", "fence": given["fence"], "key": given["key"], "status": "ok", "output": "late"},
    )
    assert (late["status"], late["error"]) == (409, "Conflict")
    assert "step.stale" in str(engine.ask("GET", "/events?project=p&type=step.stale")[1])
    assert engine.ask("GET", "/projects/p/steps/1/output")[1]["output"] == "olleh"


def test_without_the_key_or_with_another_fence_nobody_answers(engine: Served) -> None:
    offered(engine, "p", "- {step: 1, agent: coder, task: hello}\n")
    _, given = claim(engine, "p")
    result = {"type": "step.result", "fence": given["fence"], "key": given["key"], "status": "ok", "output": "done"}
    assert engine.ask("POST", "/write", {**result, "key": "0" * 64})[0] == 403
    assert engine.ask("POST", "/write", {**result, "fence": given["fence"] + 1_000})[0] == 404
    assert engine.ask("POST", "/write", {**result, "key": None})[0] == 422
    assert claim(engine, "p", "another")[1]["holder"] == "w1"
    assert claim(engine, "p")[1] == given
    assert engine.ask("POST", "/write", result)[1]["committed"]
    assert engine.ask("POST", "/write", result)[0] == 200, "the same again is no mistake"
    assert engine.ask("POST", "/write", {**result, "output": "another"})[0] == 409


def test_a_token_works_for_its_agent_alone(engine: Served) -> None:
    offered(engine, "p", "- {step: 1, agent: other, task: hello}\n")
    event = {"type": "step.claim", "project": "p", "step": 1, "agent": "other", "worker": "w"}
    assert engine.ask("POST", "/write", event, token="coders")[0] == 403
    assert engine.ask("POST", "/write", {"type": "note.x", "project": "p"}, token="coders")[0] == 403
    assert engine.ask("POST", "/write", event)[0] == 200


def test_a_key_is_good_over_a_kill_of_the_engine(engine: Served) -> None:
    offered(engine, "p", "- {step: 1, agent: coder, task: hello, timeout: 1h}\n")
    _, given = claim(engine, "p")
    engine.stop(signal.SIGKILL)
    engine.start()
    beat = {"type": "step.heartbeat", "fence": given["fence"], "key": given["key"]}
    assert engine.ask("POST", "/write", beat)[1] == {"project": "p", "cancel": False, "lease": 2}
    result = {"type": "step.result", "fence": given["fence"], "key": given["key"], "status": "ok", "output": "done"}
    assert engine.ask("POST", "/write", result)[1]["committed"]


def test_answers_are_held_against_their_schema_and_failures_against_their_class(engine: Served) -> None:
    schema = "output: {format: json, schema: {type: object, required: [a]}}"
    offered(engine, "p", f"- {{step: 1, agent: coder, task: hello, {schema}, retry: {{attempts: 3, delay: 0s}}}}\n")
    wrong = claim(engine, "p")[1]
    result = {"type": "step.result", "status": "ok"}
    _, told = engine.ask("POST", "/write", {**result, "fence": wrong["fence"], "key": wrong["key"], "output": {"b": 1}})
    assert (told["status"], told["class"]) == ("failed", "invalid_output")
    assert wait_for(lambda: claim(engine, "p")[0] == 200, seconds=30, every=0.2)
    second = claim(engine, "p")[1]
    failed = {"type": "step.result", "status": "failed", "error": {"class": "transient", "message": "no network"}}
    assert (
        engine.ask("POST", "/write", {**failed, "fence": second["fence"], "key": second["key"]})[1]["class"]
        == "transient"
    )
    assert wait_for(lambda: claim(engine, "p")[0] == 200, seconds=30, every=0.2)
    third = claim(engine, "p")[1]
    right = {**result, "fence": third["fence"], "key": third["key"], "output": '{"a": 1}'}
    assert engine.ask("POST", "/write", right)[1]["committed"]
    assert engine.ask("POST", "/write", right)[0] == 200
    assert engine.settled("p")["steps"][0]["attempts"] == 3


def test_bodies_go_in_by_pieces_and_are_refused_where_they_do_not_fit(engine: Served) -> None:
    offered(engine, "p", "- {step: 1, agent: coder, task: hello, artifacts: ['out/*.bin'], timeout: 1h}\n")
    _, given = claim(engine, "p")
    data = os.urandom(100_000)
    sha = hashlib.sha256(data).hexdigest()
    own = f"/blobs/sha256/{sha}?fence={given['fence']}&key={given['key']}&total={len(data)}"
    assert put(engine, f"{own}&offset=0", data[:60_000]) == 200
    assert put(engine, f"{own}&offset=0", data[:60_000]) == 409
    assert put(engine, f"{own}&offset=60000", data[60_000:]) == 201
    assert put(engine, own.replace(sha, "0" * 64), data) == 422
    assert put(engine, own.replace(given["key"], "0" * 64), data) == 403
    result = {"type": "step.result", "fence": given["fence"], "key": given["key"], "status": "ok", "output": "made"}
    _, told = engine.ask("POST", "/write", {**result, "artifacts": {"out/a.bin": sha}})
    assert told["status"] == "succeeded"
    assert wait_for(lambda: (engine.path / "bus/out/p/1/out/a.bin").exists(), seconds=20, every=0.1)
    assert (engine.path / "bus/out/p/1/out/a.bin").read_bytes() == data


def test_the_worker_in_a_box(engine: Served, tmp_path: Path) -> None:
    """Files and answers of earlier steps come in, artifacts and a long answer go out; a failing command is a failed step."""
    program = tmp_path / "work.sh"
    program.write_text("#!/bin/sh\nset -e\ncat in/0/seed.txt > made.txt\ncat\nhead -c 400000 /dev/zero | tr '\\0' x\n")
    program.chmod(0o755)
    seed = "- {step: 0, run: {text: 'printf seed > seed.txt; echo made', with: sh}, artifacts: [seed.txt]}\n"
    offered(
        engine,
        "p",
        seed + "- {step: 1, agent: coder, task: 'go {{ steps[0].output }}', after: [0], artifacts: [made.txt]}\n",
    )
    engine.project("q", "steps: [{step: 1, agent: coder, task: hello, retry: {attempts: 1}}]\n")
    token = tmp_path / "token"
    token.write_text("coders")
    command = [
        sys.executable,
        "-m",
        "glink",
        "worker",
        "--server",
        engine.url,
        "--token-file",
        str(token),
        "--agent",
        "coder",
    ]
    done = subprocess.run(
        [*command, "--once", "--slots", "2", "--", str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=tmp_path,
    )
    shown = engine.settled("p")
    assert shown["sync"] == "Synced", done.stdout + done.stderr
    assert engine.ask("GET", "/projects/p/steps/1/output")[1]["output"] == "go made" + "x" * 400_000
    assert wait_for(lambda: (engine.path / "bus/out/p/1/made.txt").exists(), seconds=20, every=0.1)
    assert engine.settled("q")["steps"][0]["status"] == "failed"
    assert done.returncode == 1


def test_a_cancelled_step_ends_the_workers_command(engine: Served, tmp_path: Path) -> None:
    offered(engine, "p", "- {step: 1, agent: coder, task: hello}\n")
    environment = os.environ | {"GLINK_API_TOKEN": TOKEN}
    command = [
        sys.executable,
        "-m",
        "glink",
        "worker",
        "--server",
        engine.url,
        "--agent",
        "coder",
        "--",
        "sleep",
        "300",
    ]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as worker:
        assert wait_for(lambda: _status(engine, "p") == "running", seconds=30, every=0.1)
        engine.ask("POST", "/write", {"project": "p", "type": "step.cancel", "step": 1})
        assert worker.stdout is not None
        assert "claimed" in worker.stdout.readline()
        assert "not current" in worker.stdout.readline()
        worker.send_signal(signal.SIGTERM)


def test_an_answer_is_brought_again_to_an_engine_that_was_away(engine: Served, tmp_path: Path) -> None:
    """It was worked for: the attempt that was claimed before is the one that counts."""
    offered(engine, "p", "- {step: 1, agent: coder, task: hello}\n")
    program = tmp_path / "work.sh"
    program.write_text(
        f"#!/bin/sh\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\nhead -c 400000 /dev/zero | tr '\\0' x\n"
    )
    program.chmod(0o755)
    command = [sys.executable, "-m", "glink", "worker", "--server", engine.url, "--agent", "coder", "--", str(program)]
    environment = os.environ | {"GLINK_API_TOKEN": TOKEN}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as worker:
        assert wait_for(lambda: _status(engine, "p") == "running", seconds=30, every=0.1)
        engine.stop(signal.SIGKILL)
        (tmp_path / "go").touch()
        assert worker.stdout is not None
        assert any("brought again" in line for line in worker.stdout)
        engine.environment["GLINK_PORT"] = engine.url.rpartition(":")[2]
        engine.start()
        (done,) = engine.settled("p")["steps"]
        assert (done["status"], done["attempts"]) == ("succeeded", 1)
        worker.send_signal(signal.SIGTERM)


def _status(engine: Served, project: str) -> str:
    return str(engine.ask("GET", f"/status/project?project={project}")[1]["steps"][0]["status"])
