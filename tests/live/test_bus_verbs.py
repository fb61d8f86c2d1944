"""The verbs that look after the bus, by the command line, beside a daemon and without one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.test_daemon import Home

TWO = "steps:\n  - {step: 1, agent: echo, task: say one}\n  - {step: 2, agent: echo, task: say two}\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A project that has settled twice: first `say one`, then `say three`."""
    made = Home(tmp_path)
    made.write("p", TWO)
    assert made.glink("up", "--once").returncode == 0
    made.write("p", TWO.replace("one", "three"))
    assert made.glink("up", "--once").returncode == 0
    return made


def told(home: Home, *arguments: str) -> dict[str, object]:
    done = home.glink(*arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def log_of(home: Home) -> Path:
    return next((home.path / "bus" / "events").glob("*.jsonl"))


def test_status_at_a_moment_is_what_it_was_then(home: Home) -> None:
    """By seq or by time; the workflow is the one that was in force."""
    events = [json.loads(line) for line in home.glink("events", "--json").stdout.splitlines()]
    first = next(one for one in events if one["type"] == "run.settled")
    for moment in (str(first["seq"]), first["time"]):
        then = told(home, "status", "p", "--at", moment)
        assert then["steps"][0]["output"] == "say one"
        assert (then["sync"], then["generation"]) == ("Synced", 1)
    before = told(home, "status", "p", "--at", str(first["seq"] - 1))
    assert before["run"]["status"] == "running"
    assert told(home, "status", "p")["steps"][0]["output"] == "say three"
    assert home.glink("status", "--at", "0").returncode == 3
    wrong = home.glink("status", "--at", "yesterday")
    assert (wrong.returncode, "write a seq (4711) or a time" in wrong.stderr) == (2, True)


def test_a_damaged_bus_is_named_repaired_and_used_again(home: Home) -> None:
    """The daemon refuses it, `fsck` names the loss, `repair` wants exactly that accepted, nothing runs again."""
    assert told(home, "fsck")["sound"] is True
    data = log_of(home).read_bytes()
    # a later whole batch follows: it is damage, and no torn tail
    log_of(home).write_bytes(data.replace(b'"type":"engine.stopped"', b'"type":"engine.st0pped"', 1))
    shutil.rmtree(home.path / "bus" / "checkpoints")
    (home.path / "bus" / "CLEAN").unlink()
    refused = home.glink("up", "--once")
    assert refused.returncode == 74
    checked = home.glink("fsck", "--json")
    assert checked.returncode == 74
    ((first, last),) = [one["lost"] for one in json.loads(checked.stdout)["damages"]]
    assert first == last
    wrong = home.glink("repair", "--accept-loss", f"{first}-{last + 1}")
    assert (wrong.returncode, f"--accept-loss {first}-{last}" in wrong.stderr) == (2, True)
    assert home.glink("repair", "--accept-loss", f"{first}-{last}").returncode == 0
    assert told(home, "fsck")["sound"] is True
    assert home.glink("up", "--once").returncode == 0
    events = [json.loads(line) for line in home.glink("events", "--json").stdout.splitlines()]
    assert [one["data"] for one in events if one["type"] == "log.gap"] == [{"from": first, "to": last}]
    assert sum(one["type"] == "step.dispatched" for one in events) == 4


def test_backup_beside_a_daemon_and_restore(home: Home) -> None:
    """The restored bus knows every answer, so nothing runs again."""
    home.up()
    copied = told(home, "backup", "copy")
    assert copied["records"] > 10
    assert told(home, "fsck")["sound"] is True
    assert home.glink("restore", "copy").returncode in (2, 75)
    home.end()
    shutil.rmtree(home.path / "bus")
    told(home, "restore", "copy")
    assert home.glink("up", "--once").returncode == 0
    assert home.glink("output", "p", "1").stdout == "say three\n"
    events = home.glink("events", "--json").stdout
    assert events.count('"step.dispatched"') == 4


def test_gc_takes_what_nothing_names_and_leaves_the_rest(home: Home) -> None:
    """A body that somebody put beside the others; never under a daemon."""
    stray = home.path / "bus" / "blobs" / "sha256" / "ab" / ("cd" * 31)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x")
    assert told(home, "gc") == {"attempts": 0, "blobs": 1}
    assert told(home, "gc") == {"attempts": 0, "blobs": 0}
    assert home.glink("up", "--once").returncode == 0
    home.up()
    assert home.glink("gc").returncode == 75
    home.end()


def test_redact_takes_a_secret_out_of_everything(home: Home) -> None:
    """It is read from standard input, so that it stands in no list of processes. What ran stays done."""
    home.write("q", "steps:\n  - {step: 1, agent: echo, task: the key is s3cr3t-k3y-0815}\n")
    assert home.glink("up", "--once").returncode == 0

    def redact(text: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "glink", "redact", "--json"]
        return subprocess.run(command, cwd=home.path, input=text, capture_output=True, text=True, check=False)

    assert redact("").returncode == 2
    done = json.loads(redact("s3cr3t-k3y-0815\n").stdout)
    assert done["records"] >= 2
    assert done["blobs"] >= 1
    held = b"".join(file.read_bytes() for file in (home.path / "bus").rglob("*") if file.is_file())
    assert b"s3cr3t" not in held
    assert home.glink("output", "q", "1").stdout == "the key is ***\n"
    assert told(home, "fsck")["sound"] is True


@pytest.mark.parametrize("verb", ["fsck", "repair", "gc"])
def test_where_no_bus_is_they_say_so_and_make_none(tmp_path: Path, verb: str) -> None:
    """Exit 3."""
    home = Home(tmp_path)
    assert home.glink(verb).returncode == 3
    assert not (tmp_path / "bus").exists()
