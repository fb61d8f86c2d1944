"""`--server` (here by GLINK_SERVER): every verb says from afar what it says on the machine, with the same exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from glink.cli.main import VERBS
from tests.live.served import TOKEN, Served, served

CONFIG = """\
agents:
  say: {type: echo}
  no: {type: echo, fail: refused}
  prog: {type: command, command: [sh, -c, "cat; echo said >&2"], prompt: stdin}
"""
CONFIG = CONFIG.replace('[sh, -c, "cat; echo said >&2"]', "[./prog.sh]")
ASKED = [
    ("status",), ("status", "good"), ("status", "bad"), ("status", "broken"), ("status", "nobody"), ("status", "good", "--json"),
    ("status", "--json"), ("plan",), ("plan", "good"), ("plan", "--json"), ("plan", "bad", "--exit-code"), ("plan", "broken"),
    ("why", "good"), ("why", "bad", "2"), ("why", "good", "1", "--json"), ("why", "good", "9"), ("output", "good", "1"),
    ("output", "good", "2", "--json"), ("output", "bad", "1"), ("logs", "good", "2"), ("logs", "good", "2", "--json"), ("logs", "good", "1"),
    ("events", "good"), ("events", "good", "--json"), ("events", "nobody"), ("events", "--since", "3", "--json"),
]  # fmt: skip
TOLD = [
    ("suspend", "good"), ("resume", "good"), ("retry", "bad"), ("cancel", "bad", "1"), ("release", "good"), ("release", "good", "--generation", "9"),
    ("delete", "good"), ("sync", "good"), ("run", "good"), ("run", "bad"), ("run", "nobody"), ("run", "good", "-p", "x=1", "--json"), ("retry", "good", "9"),
]  # fmt: skip
NUMBERS = count()
LOCAL = {"up", "validate", "schema", "worker", "page", "graph", "fsck", "repair", "backup", "restore", "gc", "redact"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("parity")
    (path / "prog.sh").write_text("#!/bin/sh\ncat\necho said >&2\n")
    (path / "prog.sh").chmod(0o755)
    with served(
        path,
        CONFIG,
        good="params: {x: 0}\nsteps:\n- {step: 1, agent: say, task: hello}\n- {step: 2, agent: prog, task: 'world {{ params.x }}'}\n",
        bad="steps:\n- {step: 1, agent: no, task: hello}\n- {step: 2, agent: say, task: world}\n",
        broken="steps: [{step: 1, agent: say, tsk: x}]\n",
    ) as running:
        running.settled("good")
        running.settled("bad")
        yield running


@pytest.fixture
def twins(engine: Served, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two projects that are alike, one to be spoken to here and one from afar: a deed changes what it is done to."""
    kind = request.param
    if kind == "nobody":
        return "nobody", "nobody"
    names = tuple(f"{kind}-{next(NUMBERS):03}" for _ in range(2))
    for name in names:
        engine.project(name, (engine.path / "projects" / f"{kind}.yaml").read_text())
    for name in names:
        engine.settled(name)
    return names[0], names[1]


def plain(text: str) -> str:
    """Without what differs from call to call: times, seqs, runs, and the revisions in which two files were first seen."""
    text = re.sub(r"(good|bad)-\d\d\d", r"\1", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?|\b\d\d:\d\d:\d\d\b", "TIME", text)
    text = re.sub(r'"(revision|last_applied|last_attempted)": "[^"]+"', "REVISION", text)
    return re.sub(
        r'(?m)#\d+|"(run|number|seq|since|from|fence|given|seconds)": [\d.e-]+|in \d+\.\d\d s|^ *\d+ ', "N", text
    )


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
def test_a_question_has_the_same_answer(engine: Served, arguments: tuple[str, ...]) -> None:
    here, afar = engine.glink(*arguments), engine.glink(*arguments, server=True)
    assert (afar.returncode, afar.stdout, afar.stderr) == (here.returncode, here.stdout, here.stderr)


@pytest.mark.parametrize(
    ("twins", "arguments"), [(one[1], one) for one in TOLD], indirect=["twins"], ids=[" ".join(one) for one in TOLD]
)
def test_a_deed_is_answered_alike(engine: Served, twins: tuple[str, str], arguments: tuple[str, ...]) -> None:
    verb, _, *more = arguments
    here, afar = engine.glink(verb, twins[0], *more), engine.glink(verb, twins[1], *more, server=True)
    assert afar.returncode == here.returncode, here.stderr + afar.stderr
    assert (plain(afar.stdout), plain(afar.stderr)) == (plain(here.stdout), plain(here.stderr))


def test_every_verb_is_asked_or_is_of_this_machine() -> None:
    assert {arguments[0] for arguments in (*ASKED, *TOLD)} | LOCAL == set(VERBS)


def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    home = Served(tmp_path)
    home.url = "http://127.0.0.1:9"
    done = home.glink("status", server=True)
    assert (done.returncode, "cannot be reached" in done.stderr) == (3, True)


def test_the_token_of_a_file_and_the_one_made_by_the_engine(tmp_path: Path) -> None:
    """Without an own token one is made in the bus; the command line there finds it by itself."""
    home = Served(tmp_path)
    del home.environment["GLINK_API_TOKEN"]
    home.config("agents: {say: {type: echo}}\n")
    home.project("p", "steps: [{step: 1, agent: say, task: x}]\n")
    home.start()
    try:
        made = tmp_path / "bus/token"
        assert made.stat().st_mode & 0o777 == 0o600
        command = [sys.executable, "-m", "glink", "status", "--server", home.url]
        run = {"cwd": tmp_path, "env": home.environment, "capture_output": True, "text": True, "check": False}
        assert subprocess.run(command, **run).returncode == 0  # type: ignore[call-overload]  # noqa: PLW1510
        (tmp_path / "wrong").write_text(TOKEN)
        wrong = subprocess.run([*command, "--token-file", "wrong", "--json"], **run)  # type: ignore[call-overload]  # noqa: PLW1510
        assert wrong.returncode == 2
        assert "not known" in json.loads(wrong.stdout)["message"]
    finally:
        home.stop()
