"""`glink up` with reporters: a failing step is told of once, signed, and a reporter that cannot work ends the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from standardwebhooks import Webhook

from tests.unit.web import Service, reply, says

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONFIG = """
agents:
  flaky: {type: echo, fail: transient, retry: {attempts: 3, delay: 0.01, jitter: false}}
reporting:
  - {type: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET, labels: {team: a}}
"""
WORKFLOW = "labels: {team: TEAM}\nsteps:\n  - {step: 1, agent: flaky, task: say hello}\n"


def up(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {"HOME": str(folder), "PATH": os.environ["PATH"], **environ}
    command = [sys.executable, "-m", "glink", "up", "--once"]
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=60, check=False)


def home(folder: Path) -> None:
    (folder / "projects").mkdir()
    (folder / "glink-config.yaml").write_text(CONFIG)
    for team in ("a", "b"):
        (folder / f"projects/{team}.yaml").write_text(WORKFLOW.replace("TEAM", team))


def test_a_failure_is_told_once_after_its_last_try(tmp_path: Path) -> None:
    """To who is there for the project; the address and the secret stand nowhere on the bus."""
    home(tmp_path)
    with Service(says(reply(200))) as service:
        done = up(tmp_path, HOOK_URL=f"{service.url}/T0/s3cret-path", HOOK_SECRET=SECRET)
        told = [Webhook(SECRET).verify(one.body, dict(one.headers)) for one in service.asked]
    assert done.returncode == 1
    assert done.stderr == ""
    assert [(one["type"], one["data"]["project"]) for one in told] == [("step.failed", "a"), ("run.failed", "a")]
    assert told[0]["data"]["class"] == "transient"
    assert "s3cret-path" not in done.stdout


def test_messages_that_do_not_arrive_are_told_of(tmp_path: Path) -> None:
    """At the first one, and how many they were at the end."""
    home(tmp_path)
    with Service(says(reply(404))) as service:
        done = up(tmp_path, HOOK_URL=f"{service.url}/T0/s3cret-path", HOOK_SECRET=SECRET)
        place = f"127.0.0.1:{service.port}"
    assert done.stderr.splitlines() == [
        f"glink: reporting[0] (webhook): a message did not arrive: {place} answered 404",
        "glink: reporting[0] (webhook): 2 messages did not arrive, 0 events were dropped",
    ]


def test_a_reporter_without_its_variable_is_a_mistake_of_the_start(tmp_path: Path) -> None:
    """Before the bus is touched."""
    home(tmp_path)
    done = up(tmp_path, HOOK_URL="http://127.0.0.1:1/")
    assert (done.returncode, done.stderr) == (2, "glink: reporting[0] (webhook): the variable HOOK_SECRET is not set\n")
    assert not (tmp_path / "bus").exists()
