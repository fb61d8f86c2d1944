"""A daemon over a damaged bus: what it says of it by every way in, and that it is whole again after `glink repair`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.live.served import Served

TWO = "steps:\n  - {step: 1, agent: echo, task: say one}\n  - {step: 2, agent: echo, task: say two}\n"


def test_what_a_daemon_says_of_a_damaged_bus(tmp_path: Path) -> None:
    """Unknown, with the damage and the command; 503 for what would change it; nothing runs; then everything is as it was."""
    home = Served(tmp_path)
    home.config("agents: {echo: {type: echo}}\n")
    home.project("p", TWO)
    home.start()
    home.settled("p")
    home.stop()
    log = next((tmp_path / "bus" / "events").glob("*.jsonl"))
    log.write_bytes(log.read_bytes().replace(b'"output":"say one"', b'"output":"say 0ne"', 1))
    shutil.rmtree(tmp_path / "bus" / "checkpoints")

    home.start()
    try:
        _, report = home.ask("GET", "/status/project?project=p")
        assert (report["sync"], report["health"]) == ("Unknown", "Unknown")
        (said,) = [one["message"] for one in report["conditions"] if one["type"] == "BusCorrupt"]
        command = said.partition("`")[2].partition("`")[0]
        assert f"{log}: damaged at byte " in said
        refused, problem = home.ask("POST", "/workflow/run", {"project": "p"})
        assert (refused, problem["error"], command in problem["detail"]) == (503, "BusCorrupt", True)
        for event in ({"type": "note.x"}, {"type": "step.retry", "step": "1"}, {"type": "project.suspend"}):
            assert home.ask("POST", "/write", {"project": "p", **event})[0] == 503, event
        assert home.ask("GET", "/health")[0] == 200
        assert command in home.ask("GET", "/")[1]
        assert command in home.ask("GET", "/project/p")[1]
        assert "\nglink_bus_damages 1.0" in home.ask("GET", "/metrics")[1]
        first, last = command.rpartition(" ")[2].split("-")
        before = [json.loads(line) for line in home.ask("GET", "/events")[1].splitlines()]
        assert before[-1]["type"] == "gap"
        assert command in before[-1]["reason"]
        assert [one["seq"] for one in before[:-1]] == list(range(1, int(first)))
        behind = [json.loads(line) for line in home.ask("GET", f"/events?since={last}")[1].splitlines()]
        assert [one["seq"] for one in behind] == list(range(int(last) + 1, behind[-1]["seq"] + 1))
        for verb in (("status",), ("status", "p"), ("why", "p"), ("why", "p", "1"), ("plan", "p")):
            for server in (False, True):
                done = home.glink(*verb, server=server)
                assert (done.returncode, command in done.stdout) == (0, True), (verb, server, done)
        for verb in (("suspend", "p"), ("run", "p"), ("sync", "p"), ("gc",)):
            done = home.glink(*verb)
            assert done.returncode in (74, 75), (verb, done)
        assert home.glink("suspend", "p", server=True).returncode == 74
    finally:
        home.stop()

    for verb in (("status", "p"), ("why", "p"), ("page", "-o", "site")):
        done = home.glink(*verb)
        assert done.returncode == 0, done
    assert command in (tmp_path / "site" / "index.html").read_text()
    for verb in (("suspend", "p"), ("run", "p"), ("gc",), ("up", "--once")):
        assert home.glink(*verb).returncode == 74, verb
    assert home.glink("events").returncode == 74
    assert home.glink("events", "--since", last).returncode == 0
    events = home.glink("events", "--since", last, "--json").stdout
    assert "step.dispatched" not in events.partition('"engine.stopped"')[2]
    assert home.glink(*command.split()[1:]).returncode == 0
    home.start()
    try:
        assert home.settled("p")["sync"] == "Synced"
        assert home.ask("POST", "/workflow/run", {"project": "p"})[0] in (200, 202)
    finally:
        home.stop()
