"""Projects are found and loaded: to their desired state, or to all that is wrong with them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glink.config import load_config
from glink.errors import UsageError
from glink.jsontext import loads
from glink.limits import Limits
from glink.project import Loaded, _safe_project_path, check_params, find_projects, load_project
from glink.workflow import Join, OnChange

HELLO = "steps:\n  - {step: 1, agent: a, task: Say hello}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    return folder


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def load(root: Path, text: str = HELLO, *, limits: Limits | None = None, **files: str) -> Loaded:
    """Load `p.yaml`; with further files the folder `p/` with its `workflow.yaml`."""
    limits = limits or Limits()
    if not files:
        write(root, {"p.yaml": text})
        return load_project("p", root / "p.yaml", root, limits=limits)
    write(root, {"p/workflow.yaml": text, **files})
    return load_project("p", root / "p/workflow.yaml", root, limits=limits)


def said(loaded: Loaded) -> list[str]:
    assert (loaded.workflow is None) == bool(loaded.problems)
    return [str(problem) for problem in loaded.problems]


def step(loaded: Loaded, id_: str) -> Any:
    assert said(loaded) == []
    assert loaded.workflow is not None
    return loaded.workflow.steps[id_]


# Names and discovery


@pytest.mark.parametrize("name", ["hello", "team-a/news", "a/b/c/d", "A.b_c-9", "0"])
def test_a_name_leads_below_the_root(name: str) -> None:
    """Letters, digits, dots, dashes and underscores, in up to four parts."""
    assert _safe_project_path(Path("/r"), name) == Path("/r") / name


@pytest.mark.parametrize(
    "name",
    ["", "..", ".", "a/../b", "/etc/passwd", "a//b", "a/", "/a", "-rf", "_shared", ".git", "a\n", "a\0", "a b", "ﬁ", "%2e%2e",
     "a/b/c/d/e", "a" * 64, "/".join(["a" * 60] * 3), "a..b", "a\\b", "é", "x.tmp", "p.approvals"],
)  # fmt: skip
def test_what_is_no_name_is_refused(name: str) -> None:
    """Escapes, odd characters and long names are a usage error."""
    with pytest.raises(UsageError, match="cannot name a project"):
        _safe_project_path(Path("/r"), name)


def test_projects_are_files_and_folders_with_a_workflow(root: Path) -> None:
    """Names are paths; below a folder with a workflow nothing else is a project; litter is passed by."""
    write(
        root,
        {
            "hello.yaml": HELLO,
            "world.yml": HELLO,
            "team/news.yaml": HELLO,
            "card/workflow.yaml": HELLO,
            "card/inner.yaml": HELLO,
            "card/sub/workflow.yaml": HELLO,
            "_shared/style.yaml": HELLO,
            ".hidden.yaml": HELLO,
            "_draft.yaml": HELLO,
            "hello.yaml~": HELLO,
            "#hello.yaml#": HELLO,
            "x.yaml.tmp": HELLO,
            "hello.approvals/1.yaml": HELLO,
            "README.md": "x",
        },
    )
    projects, problems = find_projects(root)
    assert {name: path.relative_to(root).as_posix() for name, path in projects.items()} == {
        "card": "card/workflow.yaml",
        "hello": "hello.yaml",
        "team/news": "team/news.yaml",
        "world": "world.yml",
    }
    assert problems == {}


def test_a_name_claimed_twice_is_refused_by_both_paths(root: Path) -> None:
    """Extensions, folders and case twins claim one name."""
    write(
        root,
        {
            "a.yaml": HELLO,
            "a.yml": HELLO,
            "a/workflow.yaml": HELLO,
            "Team/x.yaml": HELLO,
            "team/X.yaml": HELLO,
            "b.yaml": HELLO,
        },
    )
    projects, problems = find_projects(root)
    assert list(projects) == ["b"]
    assert [str(one) for one in problems["a"]] == [
        'projects/a.yaml: the name "a" is also claimed by projects/a.yml, projects/a/workflow.yaml; rename one of them',
        'projects/a.yml: the name "a" is also claimed by projects/a.yaml, projects/a/workflow.yaml; rename one of them',
        'projects/a/workflow.yaml: the name "a" is also claimed by projects/a.yaml, projects/a.yml; rename one of them',
    ]
    assert [str(one) for one in problems["Team/x"]] == [
        'projects/Team/x.yaml: the name "Team/x" is also claimed by projects/team/X.yaml; rename one of them'
    ]
    assert list(problems) == ["Team/x", "a", "team/X"]


def test_what_cannot_be_a_project_file_is_named_and_never_opened(root: Path) -> None:
    """Links, pipes, sockets, odd names and deep folders become problems of their own name."""
    write(root, {"good.yaml": HELLO, "bad name.yaml": HELLO, "a/b/c/d/e.yaml": HELLO})
    (root / "link.yaml").symlink_to(root / "good.yaml")
    (root / "linked").symlink_to(root / "a")
    os.mkfifo(root / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)
        try:
            server.bind("sock.yaml")
        finally:
            os.chdir(here)
    (root / os.fsdecode(b"\xff.yaml")).write_text(HELLO)
    (root / "esc\x1b.yaml").write_text(HELLO)
    projects, problems = find_projects(root)
    assert list(projects) == ["good"]
    assert {name: found[0].what.split(" that ")[0] for name, found in problems.items()} == {
        "a/b/c/d/e": "the name has more than 4 parts",
        "bad name": 'the name has a part "bad name"',
        "esc\ufffd": 'the name has a part "esc\\u001b"',
        "link": "is a symbolic link",
        "linked": "is a symbolic link",
        "pipe": "is not a regular file",
        "sock": "is not a regular file",
        "\ufffd": 'the name has a part "\\udcff"',
    }


def test_a_root_that_cannot_be_listed_is_the_callers_to_see(tmp_path: Path) -> None:
    """A missing root must not look like a root without projects."""
    with pytest.raises(FileNotFoundError):
        find_projects(tmp_path / "gone")


# Loading


def test_the_smallest_workflow_loads(root: Path) -> None:
    """One step; its canonical form is on offer as a blob under the workflow's digest."""
    loaded = load(root)
    assert loaded.workflow is not None
    assert loaded.workflow.canonical == {
        "v": 1,
        "project": "p",
        "steps": [{"id": "1", "agent": "a", "task": "Say hello"}],
    }
    blob = loaded.blobs[loaded.workflow.digest]
    assert isinstance(blob, bytes)
    assert loads(blob) == loaded.workflow.canonical
    assert list(loaded.sources) == ["p.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n\nsteps:\n- step: 1\n  agent: 'a'\n  task: >-\n    Say\n    hello\n",
        'x-note: 1\nsteps: [{"step": "1", "agent": "a", "task": "Say hello", after: [], retry: }]\n',
        "mode: sequential\non_change: run\nsuspend: false\ndefaults: {agent: a, reuse: true}\nsteps:\n  - {step: 1, task: Say hello}\n",
        "defaults: {agent: b}\nsteps:\n  - {step: 1, agent: a, task: Say hello, join: all_success}\n",
    ],
)
def test_spelling_does_not_change_the_digest(root: Path, text: str) -> None:
    """Comments, layout, quotes, explicit defaults and free keys are not content."""
    plain, other = load(root).workflow, load(root, text).workflow
    assert plain is not None
    assert other is not None
    assert other.digest == plain.digest


def test_durations_have_one_form(root: Path) -> None:
    """10m, 600 and 600s are one content."""
    digests = set()
    for written in ("10m", "600", "600s", "{run: 10m}"):
        workflow = load(root, f"steps:\n  - {{step: 1, agent: a, task: t, timeout: {written}}}\n").workflow
        assert workflow is not None
        digests.add(workflow.digest)
    assert len(digests) == 1


def test_order_follows_the_file_unless_it_is_written(root: Path) -> None:
    """Left out: after the step before, passing skipped ones; written: exactly those; empty: at once."""
    text = "steps:\n" + "".join(
        f"  - {{step: {id_}, agent: a, task: t{more}}}\n"
        for id_, more in [
            ("1", ""),
            ("2", ""),
            ("card", ", after: [1]"),
            ("4", ", after: []"),
            ("5", ", join: all_done"),
        ]
    )
    loaded = load(root, text)
    found = {
        id_: (step(loaded, id_).after, step(loaded, id_).implied, step(loaded, id_).join)
        for id_ in ["1", "2", "card", "4", "5"]
    }
    assert found == {
        "1": ((), False, Join.ALL_SUCCESS),
        "2": (("1",), True, Join.NONE_FAILED),
        "card": (("1",), False, Join.ALL_SUCCESS),
        "4": ((), False, Join.ALL_SUCCESS),
        "5": (("4",), True, Join.ALL_DONE),
    }
    parallel = load(root, "mode: parallel\n" + text)
    assert (step(parallel, "2").after, step(parallel, "5").after, step(parallel, "card").after) == ((), (), ("1",))


def test_the_nearest_setting_wins_and_mappings_are_joined(root: Path) -> None:
    """The step beats `defaults`; retry, timeout, env and with are joined key by key."""
    loaded = load(
        root,
        "defaults: {agent: d, timeout: 10m, retry: {attempts: 3, delay: 5s}, env: {A: one, B: two}, with: {model: m}, reuse: false}\n"
        "steps:\n"
        "  - {step: 1, task: t}\n"
        "  - {step: 2, agent: own, task: t, timeout: {idle: 1m}, retry: {attempts: 1}, env: {B: mine}, with: {k: 1}, reuse: true}\n",
    )
    one, two = step(loaded, "1"), step(loaded, "2")
    assert (one.agent, one.timeout, one.retry, one.env, one.with_, one.reuse) == (
        "d", {"run": 600.0}, {"attempts": 3, "delay": 5.0}, {"A": "one", "B": "two"}, {"model": "m"}, False,
    )  # fmt: skip
    assert (two.agent, two.timeout, two.retry, two.env, two.with_, two.reuse) == (
        "own", {"run": 600.0, "idle": 60.0}, {"attempts": 1, "delay": 5.0}, {"A": "one", "B": "mine"}, {"model": "m", "k": 1}, True,
    )  # fmt: skip


def test_side_effects_are_not_repeated_unless_the_step_says_so(root: Path) -> None:
    """`side_effects` means no reuse and on_change: hold; what stands on the step itself wins."""
    loaded = load(
        root,
        "on_change: keep\ndefaults: {side_effects: true, agent: a, reuse: true}\nsteps:\n"
        "  - {step: 1, task: t}\n  - {step: 2, task: t, on_change: run, reuse: true}\n  - {step: 3, task: t, side_effects: false}\n",
    )
    found = [(step(loaded, i).reuse, step(loaded, i).on_change, step(loaded, i).side_effects) for i in "123"]
    assert found == [(False, OnChange.HOLD, True), (True, OnChange.RUN, True), (True, OnChange.KEEP, False)]


CARD = """\
params: {city: Shanghai, limit: {type: integer, default: 10, minimum: 1}}
defaults: {agent: writer}
steps:
  - step: 1
    task: {file: prompts/one.md}
  - step: 2
    task: |
      {{ steps[1].output }} {% include "/_shared/style.md" %} {{ files["data/a.csv"] }}
    output: {schema: schemas/s.json, reask: 2}
  - step: card
    run: {file: make.py, with: python}
    args: ["{{ params.city }}"]
    stdin: "{{ steps[2].output }}"
    after: [2]
    inputs: ["data/**/*.csv", "_shared/*.md", make.py]
    artifacts: [card.html]
    when: "steps[2].output | length > 0"
  - {step: inline, run: {text: "echo hi", with: sh}}
"""
CARD_FILES = {
    "p/prompts/one.md": "Go to {{ params.city }}\n",
    "p/data/a.csv": "1,2\n",
    "p/data/deep/b.csv": "3\n",
    "p/data/.hidden.csv": "4\n",
    "p/schemas/s.json": '{"type": "array"}',
    "p/make.py": "print(1)\n",
    "_shared/style.md": "Be brief. {% include '/_shared/more.md' %}",
    "_shared/more.md": "Really.",
}


def test_files_of_the_project_become_part_of_its_content(root: Path) -> None:
    """Task files and schemas are put in place, included texts kept, scripts and inputs named by digest."""
    loaded = load(root, CARD, **CARD_FILES)
    assert step(loaded, "1").task == "Go to {{ params.city }}\n"
    assert (step(loaded, "2").output.schema, step(loaded, "2").output.format) == ({"type": "array"}, "json")
    card = step(loaded, "card")
    assert (card.run.using, card.run.file, card.args, card.agent) == ("python", "make.py", ("{{ params.city }}",), None)
    assert step(loaded, "inline").run.text == "echo hi"
    workflow = loaded.workflow
    assert workflow is not None
    assert set(workflow.texts) == {"_shared/style.md", "_shared/more.md", "data/a.csv"}
    assert set(workflow.files) == {"make.py", "data/a.csv", "data/deep/b.csv", "_shared/style.md", "_shared/more.md"}
    assert loaded.blobs[workflow.files["make.py"]] == b"print(1)\n"
    assert loaded.blobs[workflow.files["data/deep/b.csv"]] == b"3\n"
    assert set(loaded.sources) == {"p/workflow.yaml", *CARD_FILES} - {"p/data/.hidden.csv"}


def test_a_changed_file_changes_the_content(root: Path) -> None:
    """Each text, schema, script and input is in the digest; a file that nothing names is not."""
    load(root, CARD, **CARD_FILES)
    seen = set()
    for name, text in CARD_FILES.items():
        write(root, {**CARD_FILES, name: text + " "})
        workflow = load_project("p", root / "p/workflow.yaml", root).workflow
        assert workflow is not None
        seen.add(workflow.digest)
    # The hidden file and the white space of the JSON schema change nothing: two of eight are the same.
    assert len(seen) == len(CARD_FILES) - 1


def test_a_large_input_is_handed_over_by_its_path(root: Path) -> None:
    """Up to 1 MiB a blob is bytes; beyond it is the path."""
    loaded = load(
        root, "steps:\n  - {step: 1, agent: a, task: t, inputs: [big.bin]}\n", **{"p/big.bin": "x" * ((1 << 20) + 1)}
    )
    assert loaded.workflow is not None
    assert loaded.blobs[loaded.workflow.files["big.bin"]] == root / "p/big.bin"


@pytest.mark.parametrize(
    ("step_text", "expected"),
    [
        ("{step: 1, agent: a, task: {file: gone.md}}", "p/workflow.yaml:2:38: steps[0].task.file: gone.md does not exist; check the path and its spelling"),
        ("{step: 1, run: {file: gone.py, with: sh}}", "p/workflow.yaml:2:27: steps[0].run.file: gone.py does not exist; check the path and its spelling"),
        ("{step: 1, agent: a, task: t, inputs: [gone.csv]}", "p/workflow.yaml:2:43: steps[0].inputs[0]: gone.csv does not exist; check the path and its spelling"),
        ("{step: 1, agent: a, task: t, inputs: [out.csv]}", "p/workflow.yaml:2:43: steps[0].inputs[0]: out.csv is a symbolic link, or lies behind one; put the file itself there"),
        ("{step: 1, agent: a, task: t, inputs: ['*.csv']}", "p/workflow.yaml:2:43: steps[0].inputs[0]: *.csv meets out.csv, a symbolic link; put the file itself there"),
        ("{step: 1, agent: a, task: t, inputs: ['away/*']}", "p/workflow.yaml:2:43: steps[0].inputs[0]: away/* meets away, a symbolic link; put the file itself there"),
        ("{step: 1, agent: a, task: {file: away/passwd}}", "p/workflow.yaml:2:38: steps[0].task.file: away/passwd is a symbolic link, or lies behind one; put the file itself there"),
        ("{step: 1, agent: a, task: {file: pipe}}", "p/workflow.yaml:2:38: steps[0].task.file: pipe is not a regular file; put a file there"),
        ("{step: 1, agent: a, task: {file: dir}}", "p/workflow.yaml:2:38: steps[0].task.file: dir is not a regular file; put a file there"),
        ("{step: 1, agent: a, task: {file: latin.md}}", "p/workflow.yaml:2:38: steps[0].task.file: latin.md is not UTF-8; save it as UTF-8"),
        ("{step: 1, agent: a, task: t, output: {schema: remote.json}}", "p/workflow.yaml:2:51: steps[0].output.schema: remote.json: $ref: a $ref that leaves the document or names an anchor is not followed; copy the schema under $defs and refer to it by #/$defs/…"),
        ("{step: 1, agent: a, task: t, output: {schema: s.yaml}}", "p/s.yaml:1:4: a: the tag !x is not allowed; remove it"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(root: Path, step_text: str, expected: str) -> None:
    """Missing, linked, special, undecodable and wrong files, each with place and cure."""
    (root / "p/dir").mkdir(parents=True)
    (root / "p/out.csv").symlink_to("/etc/passwd")
    (root / "p/away").symlink_to("/etc")
    os.mkfifo(root / "p/pipe")
    (root / "p/latin.md").write_bytes(b"caf\xe9")
    files = {"p/remote.json": '{"$ref": "http://x/y"}', "p/s.yaml": "a: !x 1\n"}
    found = said(load(root, f"steps:\n  - {step_text}\n", **files))
    assert [one.removeprefix("projects/") for one in found] == [expected]


def test_a_schema_file_that_is_no_json_is_placed_in_that_file(root: Path) -> None:
    """Line and column are those of the JSON."""
    text = "steps:\n  - {step: 1, agent: a, task: t, output: {schema: bad.json}}\n"
    (problem,) = load(root, text, **{"p/bad.json": '{"a":\n x}'}).problems
    assert (problem.path, problem.line, problem.column, problem.cure) == ("projects/p/bad.json", 2, 2, "write JSON")


def test_a_project_of_one_file_has_no_files_but_shared_ones(root: Path) -> None:
    """It says how to become a folder; `_shared/` is for all."""
    write(root, {"_shared/t.md": "hi"})
    assert step(load(root, "steps:\n  - {step: 1, agent: a, task: {file: _shared/t.md}}\n"), "1").task == "hi"
    assert step(load(root, "steps:\n  - {step: 1, agent: a, task: {file: /_shared/t.md}}\n"), "1").task == "hi"
    (found,) = said(load(root, "steps:\n  - {step: 1, agent: a, task: {file: t.md}}\n"))
    assert found == (
        "projects/p.yaml:2:38: steps[0].task.file: t.md cannot belong to a project that is a single file; "
        "make it a folder, NAME/workflow.yaml with the file beside it, or put the file into _shared/"
    )


def test_limits_on_what_a_project_reads_hold(root: Path) -> None:
    """Texts, inputs in bytes and number, and files below the folder."""
    glob = "steps:\n  - {step: 1, agent: a, task: t, inputs: ['*.txt']}\n"
    files = {f"p/{i}.txt": "x" * 10 for i in range(5)}
    assert (
        "matches, with others, more than 3 files" in said(load(root, glob, limits=Limits(inputs_files=3), **files))[0]
    )
    assert (
        "2.txt, which brings the inputs to more than 25 bytes"
        in said(load(root, glob, limits=Limits(inputs_bytes=25), **files))[0]
    )
    assert "has more than 3 files" in said(load(root, glob, limits=Limits(project_files=3), **files))[0]
    task = "steps:\n  - {step: 1, agent: a, task: {file: 0.txt}}\n"
    assert "bytes, more than" in said(load(root, task, limits=Limits(project_bytes=len(task) + 5), **files))[0]


# What is wrong between steps


def broken(root: Path, steps: str, top: str = "") -> list[str]:
    return [one.removeprefix("projects/p.yaml:") for one in said(load(root, f"{top}steps:\n{steps}"))]


def test_a_step_that_is_named_must_come_before(root: Path) -> None:
    """The error says which `after` to write; an ancestor further up is fine."""
    assert broken(
        root,
        "  - {step: 1, agent: a, task: t}\n"
        "  - {step: 2, agent: a, task: t, after: []}\n"
        '  - {step: 3, agent: a, task: "Use {{ steps[1].output }}", after: [2]}\n'
        '  - {step: 4, agent: a, task: "{{ steps[2].output }}", after: [3]}\n',
    ) == ["4:39: steps[2].task: step 3 does not come after step 1; write after: [2, 1]"]


@pytest.mark.parametrize(
    ("name", "value"), [("now", "now"), ("run", "run.number"), ("attempt", "attempt"), ("revision", "revision")]
)
def test_a_condition_names_nothing_that_is_another_at_each_look(root: Path, name: str, value: str) -> None:
    when = f'"params.x and {value} > 1"'
    what = f"a condition cannot name {name}, which is another at each look; name params, steps, files or bus"
    step = f"  - {{step: 1, agent: a, task: t, when: {when}}}\n"
    assert broken(root, step, "params: {x: 1}\n") == [f"3:54: steps[0].when: {what}"]


def test_names_in_every_template_are_checked(root: Path) -> None:
    """task, env, args, stdin and when, each with its place; unknown steps and parameters with a suggestion."""
    found = broken(
        root,
        "  - step: first\n    agent: a\n    task: |\n      Hello\n        {{ params.citty }}\n"
        '    env: {K: "{{ steps.first.output }}"}\n'
        "  - step: second\n    run: {text: x, with: sh}\n"
        '    args: [ok, "{{ steps.frist.output }}"]\n    stdin: "{{ params.cty }}"\n    when: steps.third.output\n'
        "  - {step: third, agent: a, task: t}\n",
        "params: {city: x}\n",
    )
    assert found == [
        '7:12: steps[0].task: unknown parameter "citty"; did you mean "city"?',
        "8:18: steps[0].env.K: the step names itself; name a step that comes before it",
        '11:20: steps[1].args[1]: unknown step "frist"; did you mean "first"?',
        '12:16: steps[1].stdin: unknown parameter "cty"; did you mean "city"?',
        "13:11: steps[1].when: step second does not come after step third; step third comes after this one: turn their order round",
    ]


def test_a_mistake_in_defaults_is_placed_there_and_told_once(root: Path) -> None:
    """However many steps share it."""
    steps = "".join(f"  - {{step: {i}, agent: a, task: t}}\n" for i in range(5))
    assert broken(root, steps, 'defaults: {env: {K: "{{ params.x }}"}}\n') == [
        '1:25: defaults.env.K: unknown parameter "x"'
    ]


def test_a_mistake_in_a_task_file_is_placed_in_that_file(root: Path) -> None:
    """Line and column are the text's own."""
    loaded = load(
        root, "steps:\n  - {step: 1, agent: a, task: {file: t.md}}\n", **{"p/t.md": "one\ntwo {{ params.x }}\n"}
    )
    assert said(loaded) == ['projects/p/t.md:2:8: steps[0].task: unknown parameter "x"']
    assert loaded.problems[0].source == "two {{ params.x }}"


def test_a_template_that_cannot_be_parsed_is_placed(root: Path) -> None:
    """Line and column inside a block scalar become those of the file."""
    found = load(root, "steps:\n  - step: 1\n    agent: a\n    task: |\n      fine\n      {% if %}\n").problems
    assert [(one.line, one.where) for one in found] == [(6, "steps[0].task")]


def test_circles_self_edges_and_unknown_steps_name_the_steps(root: Path) -> None:
    """Order that cannot be is told with every step in it."""
    assert broken(
        root,
        "  - {step: 1, agent: a, task: t, after: [3]}\n  - {step: 2, agent: a, task: t}\n  - {step: 3, agent: a, task: t}\n",
    ) == [
        (
            "2:41: steps[0].after: these steps wait for each other: 1 (line 2) -> 3 (line 4) -> 2 (line 3) -> 1 (line 2); "
            "remove one `after` of the circle"
        )
    ]
    assert broken(root, "  - {step: 1, agent: a, task: t, after: [1]}\n") == [
        "2:42: steps[0].after[0]: waits for itself; remove it"
    ]
    assert broken(root, "  - {step: one, agent: a, task: t}\n  - {step: 2, agent: a, task: t, after: [oen]}\n") == [
        '3:42: steps[1].after[0]: unknown step "oen"; did you mean "one"?'
    ]


def test_a_doubled_id_names_both_lines(root: Path) -> None:
    """1 and "1" are the same id."""
    assert broken(root, '  - {step: 1, agent: a, task: t}\n  - {step: "1", agent: a, task: t}\n') == [
        '3:12: steps[1].step: the id "1" is taken by the step in line 2; give it an id of its own'
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{step: 1, agent: a}", "2:5: steps[0].task: has neither `task` nor `run`; add `task:` with what the agent is to do"),
        ("{step: 1, task: t}", "2:5: steps[0].agent: has no agent; add `agent:`, here or under `defaults:`"),
        ("{step: 1, agent: a, run: {text: x, with: sh}}", "2:22: steps[0].agent: `agent` does not go with `run`; remove `agent`, or `run`"),
        ("{step: 1, task: t, run: {text: x, with: sh}}", "2:21: steps[0].task: `task` does not go with `run`; keep one of the two"),
        ("{step: 1, agent: a, task: t, args: [x]}", "2:40: steps[0].args: `args` needs `run`; remove `args`: an agent gets its task"),
        ("{step: 1, agent: a, task: t, stdin: x}", "2:41: steps[0].stdin: `stdin` needs `run`; remove `stdin`: an agent gets its task"),
        ("{step: 1, run: {with: sh}}", "2:20: steps[0].run: needs either `file` or `text`; write one of the two"),
        ("{step: 1, run: {with: sh, text: x, file: y}}", "2:20: steps[0].run: needs either `file` or `text`; write one of the two"),
        ("{step: 1, run: {text: x}}", "2:15: steps[0].run.with: is missing; add `with:`"),
        ("{step: 1, agent: a, task: t, output: {format: text, schema: {}}}", "2:42: steps[0].output: a schema needs format: json; write format: json, or remove the schema"),
        ("{step: 1, agent: a, task: t, output: {schema: {type: strin}}}", "2:58: steps[0].output.schema.type: 'strin' is not valid under any of the given schemas"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(root: Path, text: str, expected: str) -> None:
    """A step is an agent with a task, or a script."""
    assert broken(root, f"  - {text}\n") == [expected]


def test_all_mistakes_of_a_file_come_at_once_sorted_with_their_lines(root: Path) -> None:
    """YAML, vocabulary, order, templates: one list, each with its source line."""
    loaded = load(
        root,
        "nme: x\nsteps:\n  - {step: 1, agent: a, task: t, reuse: 1}\n  - {step: 2, agent: !x a, task: '{{ nope }}', after: [9]}\n",
    )
    assert [(one.line, one.where) for one in loaded.problems] == [
        (1, "nme"),
        (3, "steps[0].reuse"),
        (4, "steps[1].agent"),
        (4, "steps[1].task"),
        (4, "steps[1].after[0]"),
    ]
    assert loaded.problems[0].with_caret() == (
        'projects/p.yaml:1:1: nme: unknown key; did you mean "name"?\n    nme: x\n    ^'
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"\0" * 100),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: (path.touch(), os.truncate(path, 5 << 30)),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text(""),
        lambda path: path.write_text("steps: " * 3),
    ],
    ids=["NUL", "pipe", "folder", "link", "sparse", "bomb", "empty", "colons"],
)
def test_whatever_stands_in_a_file_loading_ends_with_a_problem(root: Path, make: Callable[[Path], Any]) -> None:
    """Nothing hangs, nothing raises."""
    make(root / "p.yaml")
    loaded = load_project("p", root / "p.yaml", root)
    assert loaded.workflow is None
    assert len(loaded.problems) == 1


def test_wide_and_deep_graphs_load(root: Path) -> None:
    """10,000 steps side by side, and 1,000 in a chain that names its first step at its end."""
    wide = "mode: parallel\ndefaults: {agent: a}\nsteps:\n" + "".join(
        f"  - {{step: {i}, task: t}}\n" for i in range(10_000)
    )
    loaded = load(root, wide, limits=Limits(steps=10_000))
    assert loaded.workflow is not None
    assert len(loaded.workflow.steps) == 10_000
    deep = "defaults: {agent: a}\nsteps:\n" + "".join(f"  - {{step: {i}, task: t}}\n" for i in range(999))
    assert step(load(root, deep + '  - {step: last, task: "{{ steps[0].output }}"}\n'), "last").after == ("998",)


# Against the configuration

CONFIG = """\
agents:
  writer: {type: echo, allow: {model: [small, 2]}}
  closed: {type: echo, projects: ["team/*"]}
commands:
  python: {exec: [python3]}
  sh: {exec: [sh], projects: ["ops/*"]}
"""


def against(root: Path, steps: str, config: str = CONFIG) -> list[str]:
    path = root.parent / "glink-config.yaml"
    path.write_text(config)
    path.chmod(0o600)
    settings = load_config(None, environ={"HOME": "/h"}, folder=root.parent)
    write(root, {"p.yaml": f"steps:\n{steps}"})
    loaded = load_project("p", root / "p.yaml", root, config=settings)
    return [one.removeprefix("projects/p.yaml:") for one in said(loaded)]


def test_agents_and_interpreters_must_be_declared_for_the_project(root: Path) -> None:
    """NotThere ones get a suggestion, others' ones a cure, `with` is held against `allow`."""
    assert against(
        root,
        "  - {step: 1, agent: writr, task: t}\n"
        "  - {step: 2, agent: closed, task: t}\n"
        "  - {step: 3, agent: writer, task: t, with: {model: large}}\n"
        "  - {step: 4, agent: writer, task: t, with: {modl: small}}\n"
        "  - {step: 5, agent: writer, task: t, with: {model: 2}}\n"
        "  - {step: 6, run: {text: x, with: pyton}}\n"
        "  - {step: 7, run: {text: x, with: sh}}\n"
        "  - {step: 8, run: {text: x, with: python}}\n",
    ) == [
        '2:22: steps[0].agent: unknown agent "writr"; did you mean "writer"?',
        '3:22: steps[1].agent: the agent "closed" is not for this project; add the project to its `projects:` in the configuration',
        '4:53: steps[2].with.model: the agent "writer" does not allow this value; allowed: small, 2',
        '5:52: steps[3].with.modl: the agent "writer" does not let a step choose "modl"; did you mean "model"?',
        '7:36: steps[5].run.with: unknown interpreter "pyton"; did you mean "python"?',
        '8:36: steps[6].run.with: the interpreter "sh" is not for this project; add the project to its `projects:` in the configuration',
    ]


def test_undeclared_agents_may_be_pulled(root: Path) -> None:
    """`undeclared_agents: pull` accepts any name."""
    steps = "  - {step: 1, agent: anyone, task: t}\n"
    assert against(root, steps, "undeclared_agents: pull\n") == []
    assert against(root, steps, "engine: x\n") == [
        '2:22: steps[0].agent: unknown agent "anyone"; declare it under `agents:` in the configuration'
    ]


def test_without_a_configuration_file_agents_are_not_checked(root: Path) -> None:
    """There is nothing to check them against."""
    write(root, {"p.yaml": HELLO})
    settings = load_config(None, environ={"HOME": "/h"}, folder=root.parent)
    assert load_project("p", root / "p.yaml", root, config=settings).problems == ()


# Parameters

PARAMS = """\
params:
  city: Shanghai
  limit: {type: integer, default: 10, minimum: 1}
  size: {enum: [small, large], default: small}
  code: {pattern: "[A-Z]{2}", required: true}
  ratio: {type: number}
  tags: [a, b]
"""


def test_given_parameters_join_the_defaults(root: Path) -> None:
    """What is not given is the default, else null."""
    workflow = load(root, PARAMS + HELLO).workflow
    assert workflow is not None
    assert check_params(workflow, {"code": "CN", "limit": 3, "ratio": 2}) == {
        "city": "Shanghai", "limit": 3, "size": "small", "code": "CN", "ratio": 2, "tags": ["a", "b"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"limit": "3"}, 'parameter "limit" must be of type integer'),
        ({"limit": True}, 'parameter "limit" must be of type integer'),
        ({"limit": 1.5}, 'parameter "limit" must be of type integer'),
        ({"limit": 0}, 'parameter "limit" must be 1 or more'),
        ({"size": "huge"}, 'parameter "size" must be one of small, large'),
        ({"code": "CHN"}, 'parameter "code" must match [A-Z]{2}'),
        ({"code": "CN\n"}, 'parameter "code" must match [A-Z]{2}'),
        ({"city": None}, 'parameter "city" must be of type string'),
        ({"citty": "x"}, 'unknown parameter "citty"; did you mean "city"?'),
    ],
)
def test_parameters_that_do_not_fit_are_refused(root: Path, given: dict[str, Any], fault: str) -> None:
    """Type, bounds, choices, patterns and names."""
    workflow = load(root, PARAMS + HELLO).workflow
    assert workflow is not None
    with pytest.raises(UsageError) as caught:
        check_params(workflow, {"code": "CN", **given})
    assert str(caught.value) == f"p: {fault}"


def test_a_required_parameter_must_be_given(root: Path) -> None:
    """It has no default."""
    workflow = load(root, PARAMS + HELLO).workflow
    assert workflow is not None
    with pytest.raises(UsageError, match='parameter "code" is required'):
        check_params(workflow, {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{type: integer, default: ten}", "1:38: params.x.default: must be of type integer; change the default or what is declared beside it"),
        ("{type: string, minimum: 1}", "1:37: params.x.minimum: does not go with type string; remove it, or write type: integer"),
        ("{pattern: '(?=a)'}", "1:23: params.x.pattern: the pattern cannot be used: invalid perl operator: (?=; write it without look-ahead, look-behind and back-references (RE2 syntax)"),
        ("{default: 1, required: true}", "1:36: params.x.required: a default is there as well; keep one of the two"),
        ("{type: int}", '1:20: params.x.type: must be string, integer, number, boolean, array or object; did you mean "integer"?'),
        ("{enum: [a, b], default: c}", "1:37: params.x.default: must be one of a, b; change the default or what is declared beside it"),
    ],
)  # fmt: skip
def test_a_declaration_that_contradicts_itself_is_refused(root: Path, written: str, expected: str) -> None:
    """Defaults fit what is declared, and patterns are RE2's."""
    assert broken(root, "  - {step: 1, agent: a, task: t}\n", f"params: {{x: {written}}}\n") == [expected]
