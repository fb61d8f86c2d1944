"""`glink plan` from what was known of projects at rest: wherever it answers, it says what the long way says."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glink.errors import GlinkError
from tests.resting import CONFIG, Home

LONG = "x" * 700  # an answer of it is a body of its own


@st.composite
def workflows(draw: st.DrawFn) -> str:
    """A workflow file of a folder project: joins, conditions, texts, inputs, failures and policies vary."""
    lines = [f"mode: {draw(st.sampled_from(['sequential', 'parallel']))}"]
    if draw(st.integers(0, 3)) == 0:
        lines.append(f"on_change: {draw(st.sampled_from(['hold', 'keep']))}")
    lines.append("steps:")
    for number in range(draw(st.integers(1, 4))):
        agent = draw(st.sampled_from([*["good"] * 12, *["other"] * 4, "bad", "late"]))
        tasks = ["one", "two", LONG, "at {{ now }}", '{% include "style.md" %}', "{{ files['style.md'] }}"]
        keys: dict[str, Any] = {"step": number, "agent": agent, "task": draw(st.sampled_from(tasks))}
        if number:
            keys["after"] = sorted(draw(st.sets(st.integers(0, number - 1), max_size=2)))
            if keys["after"]:
                first = keys["after"][0]
                keys["join"] = draw(st.sampled_from(["all_success", "none_failed", "all_done"]))
                if draw(st.booleans()):
                    keys["task"] += f" {{{{ steps[{first}].output | default('-') }}}}"
                if draw(st.integers(0, 2)) == 0:
                    keys["when"] = f"steps[{first}].output | length > {draw(st.sampled_from([1, 3, 700]))}"
        if draw(st.integers(0, 9)) == 0:
            keys["when"] = "bus.latest('news', project='q') is none"
        if draw(st.integers(0, 3)) == 0:
            keys["inputs"] = [draw(st.sampled_from(["data/*", "data/a", "_own", "/_shared/*"]))]
        if draw(st.integers(0, 5)) == 0:
            keys["allow_failure"] = True
        if draw(st.integers(0, 5)) == 0:
            keys["reuse"] = False
        lines.append(f"  - {json.dumps(keys)}")
    return "\n".join(lines) + "\n"


def _append(name: str, text: str) -> Callable[[Home], None]:
    def deed(home: Home) -> None:
        path = home.folder / name
        if path.exists():
            path.write_text(path.read_text() + text)

    return deed


def _without(name: str) -> Callable[[Home], None]:
    return lambda home: (
        shutil.rmtree(home.folder / name, ignore_errors=True) or (home.folder / name).unlink(missing_ok=True)
    )


def _linked(home: Home) -> None:
    _without("projects/p/style.md")(home)
    (home.projects / "p" / "style.md").symlink_to("data/a")


def _damaged(home: Home) -> None:
    path = home.folder / "bus" / "checkpoints" / ".rest"
    if path.exists():
        path.write_bytes(path.read_bytes().replace(b'"reasons"', b'"reasonz"'))


def _older(home: Home) -> None:
    """What was known before an edit is put back after it, as from a backup."""
    path = home.folder / "bus" / "checkpoints" / ".rest"
    kept = path.read_bytes() if path.exists() else b""
    _append("projects/p/style.md", " new")(home)
    home.run()
    path.write_bytes(kept)


DEEDS: dict[str, Callable[[Home], None]] = {
    "nothing": lambda home: None,
    "a comment": _append("projects/p/workflow.yaml", "# a comment\n"),
    "another step": _append("projects/q.yaml", "  - {step: last, agent: good, task: more}\n"),
    "a broken file": _append("projects/q.yaml", "steps: {\n"),
    "a text": _append("projects/p/style.md", " more"),
    "a link": _linked,
    "a text is gone": _without("projects/p/style.md"),
    "an input": _append("projects/p/data/a", " more"),
    "another input": lambda home: home.write("projects/p/data/b", "b"),
    "a private input": lambda home: home.write("projects/p/data/_c", "c"),
    "an input that is never seen": _append("projects/p/_own", " more"),
    "a shared file": lambda home: home.write("projects/_shared/t.md", "t"),
    "another project": lambda home: home.write("projects/r.yaml", "steps:\n  - {step: 1, agent: good, task: r}\n"),
    "a doubled name": lambda home: home.write("projects/Q.yml", "steps:\n  - {step: 1, agent: good, task: r}\n"),
    "a project is gone": _without("projects/q.yaml"),
    "the folder is gone": _without("projects/p"),
    "another agent": lambda home: home.write("glink-config.yaml", CONFIG.replace("other: {type: echo", "other: {type: pull")),
    "an agent less": lambda home: home.write("glink-config.yaml", CONFIG.replace("  other: {type: echo}\n", "")),
    "a stricter limit": lambda home: home.write("glink-config.yaml", CONFIG.replace("steps: 50", "steps: 1")),
    "a configuration that everybody writes": lambda home: (home.folder / "glink-config.yaml").chmod(0o666),
    "no configuration": _without("glink-config.yaml"),
    "an engine": lambda home: home.run(),
    "an engine of one": lambda home: home.run("q"),
    "suspended": lambda home: home.tell("suspend", "p"),
    "a run": lambda home: home.tell("run", "p", force=True),
    "a retry": lambda home: home.tell("retry", "p", step="0"),
    "a release": lambda home: home.tell("release", "p"),
    "deleted": lambda home: home.tell("delete", "q"),
    "a note": lambda home: home.tell("write", "q", events=[{"project": "q", "type": "news", "data": {}}]),
    "submitted": lambda home: home.submit("s"),
    "a file for what was submitted": lambda home: home.write("projects/s.yaml", "steps:\n  - {step: 1, agent: good, task: s}\n"),
    "damage": _damaged,
    "an old finding": _older,
    "no bodies": _without("bus/blobs"),
}  # fmt: skip


@given(workflows(), st.lists(st.sampled_from(sorted(DEEDS)), min_size=2, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_short_way_says_what_the_long_way_says(text: str, deeds: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        home = Home(Path(folder))
        home.write("projects/p/workflow.yaml", text)
        home.run()
        for deed in ["nothing", *deeds]:
            with suppress(GlinkError, OSError):  # what cannot be done there
                DEEDS[deed](home)
            for project in (None, "p", "q", "s"):
                short = home.short(project)
                assert short is None or short == home.said(project), deed
