"""The shipped examples do real work: run by the command line, in a repository of their own."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.examples import ROOT, Examples, steps

# What the agent's own program sees; `-P` because it is not started from a folder of ours.
INSTALLED = "import importlib.metadata as m; print(*{one.metadata['Name'] for one in m.distributions()}, sep='\\n')"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """The examples, settled once. A test that edits them puts the text back."""
    examples = Examples(tmp_path_factory.mktemp("examples"))
    examples.up()
    return examples


def agent(name: str, *arguments: str, task: str, context: dict[str, Any], folder: Path) -> Any:
    """Run an agent's program as the engine would; the finished process."""
    (folder / "context.json").write_text(json.dumps({"steps": context}))
    command = [sys.executable, str(ROOT / "agents" / f"{name}.py"), *arguments]
    environment = {"GLINK_CONTEXT": str(folder / "context.json"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=environment, input=task, capture_output=True, text=True, timeout=60, check=False
    )


def test_all_examples_settle_and_each_is_valid(home: Examples) -> None:
    status = json.loads(home.glink("status", "--json"))
    found = {one["project"]: (one["sync"], one["health"]) for one in status["projects"]}
    assert found == dict.fromkeys(("dependency-report", "hello-world", "release-notes"), ("Synced", "Healthy"))
    assert home.glink("validate") == "3 projects, 0 problems\n"


def test_hello_world_is_the_quick_start_word_for_word(home: Examples) -> None:
    file = yaml.safe_load((ROOT / "projects/hello-world.yaml").read_text())
    assert file == {"steps": [{"step": 1, "agent": "agent-a", "task": "Say hello"}]}
    assert home.glink("output", "hello-world", "1") == "Say hello\n"


def test_the_card_page_shows_each_installed_distribution(home: Examples) -> None:
    report = home.output("dependency-report", "2")
    names = {one["name"] for one in report["packages"]}
    listed = subprocess.run([sys.executable, "-P", "-c", INSTALLED], capture_output=True, text=True, check=True).stdout
    assert {"pydantic", "PyYAML"} <= names
    assert {one.lower() for one in names} == {one.lower() for one in listed.split()}
    page = home.artifact("dependency-report/3/card.html")
    assert report["count"] == len(names) == page.count("<article>")
    assert all(f"<h2>{one['name']} {one['version']}</h2>" in page for one in report["packages"])


def test_the_digest_and_the_page_name_the_commits_of_the_repository(home: Examples) -> None:
    commit = home.git("rev-list", "--max-parents=0", "HEAD")
    assert f"- The <first> commit ({commit[:10]}, Ana)" in home.output("release-notes", "digest").splitlines()
    assert f"<li>The &lt;first&gt; commit ({commit[:10]}, Ana)</li>" in home.artifact("release-notes/page/notes.html")


def test_a_settled_engine_writes_nothing_about_any_project(home: Examples) -> None:
    assert home.up() == []


def test_an_edit_runs_its_step_and_the_next_only_if_the_answer_changed(home: Examples) -> None:
    home.edit("dependency-report.yaml", "Convert search results", "Convert the search results")
    same_answer = home.up()
    assert steps(same_answer, "step.dispatched") == ["2"]

    home.edit("dependency-report.yaml", "to JSON", "to JSON, only those that begin with p")
    other_answer = home.up()
    assert steps(other_answer, "step.dispatched") == ["2", "3"]
    shown = re.findall(r"<h2>(\S+)", home.artifact("dependency-report/3/card.html"))
    assert shown
    assert all(name.lower().startswith("p") for name in shown)

    home.git("checkout", "-q", "projects")
    reverted = home.up()
    assert steps(reverted, "step.dispatched") == []
    assert steps(reverted, "step.restored") == ["2", "3"]
    assert "<h2>watchdog" in home.artifact("dependency-report/3/card.html")


def test_a_comment_and_another_layout_cause_no_event_of_the_project(home: Examples) -> None:
    home.edit(
        "hello-world.yaml",
        '{step: 1, agent: agent-a, task: "Say hello"}',
        "step: 1 # first\n    agent: agent-a\n    task: Say hello",
    )
    assert home.up() == []
    home.git("checkout", "-q", "projects")
    assert home.up() == []


def test_parameters_of_a_run_reach_the_agent_and_the_script(home: Examples) -> None:
    home.commit("A second one")
    home.glink("run", "release-notes", "--param", "commits=1", "--param", "title=What is new")
    digest = home.output("release-notes", "digest")
    assert digest.startswith("# What is new\n\n1 commit\n")
    assert "A second one" in digest
    home.glink("run", "release-notes", "--param", "commits=20")
    assert home.output("release-notes", "digest").startswith("# Release notes\n\n2 commits\n")


def test_the_tour_of_the_readme_goes_as_it_says(home: Examples) -> None:
    tour = re.search(r"## A tour\n+```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tour is not None
    said = ""
    for line in tour.group(1).splitlines():
        assert ".venv/bin/glink" in line or line.startswith("sed")
        command = line.replace(".venv/bin/glink", f"{shlex.quote(sys.executable)} -m glink")
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=home.path,
            env=home.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        said += done.stdout
    for part in ("the task changed", "-Say hello", "+Say good day", "given to agent-a", "restored"):
        assert part in said
    assert home.git("status", "--porcelain") == ""


def test_search_agent_says_so_when_nothing_fits(home: Examples) -> None:
    home.edit("dependency-report.yaml", "that are installed here", "that begin with zzz")
    assert home.run("up", "--once").returncode == 1
    assert "no installed distribution begins with zzz" in home.glink("status", "dependency-report")
    home.git("checkout", "-q", "projects")
    assert steps(home.up(), "step.dispatched") == []


def test_the_card_page_escapes_what_packages_say_of_themselves(tmp_path: Path) -> None:
    package = {"name": "<script>", "version": '1"', "summary": "a & b </article>"}
    context = {"2": {"output": {"count": 1, "packages": [package]}}}
    done = agent("frontend_agent", task='A page called "<i>"', context=context, folder=tmp_path)
    assert done.stdout == "card.html: 1 cards\n"
    page = (tmp_path / "card.html").read_text()
    assert "<h2>&lt;script&gt; 1&quot;</h2><p>a &amp; b &lt;/article&gt;</p>" in page
    assert page.count("&lt;i&gt;") == 2


def test_history_agent_reads_a_shallow_clone_with_tags(home: Examples, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    home.git("tag", "light")
    home.git("tag", "-a", "v1", "-m", "one")
    home.git("clone", "-q", "--depth=1", home.path.as_uri(), str(clone))
    home.git("tag", "-d", "light", "v1")
    done = agent("history_agent", str(clone), task="Read the last 9 commits", context={}, folder=tmp_path)
    (commit,) = json.loads(done.stdout)["commits"]
    assert commit["commit"] == home.git("rev-parse", "HEAD")
    assert sorted(commit["tags"]) == ["light", "v1"]


def test_history_agent_names_the_place_that_is_no_repository(tmp_path: Path) -> None:
    done = agent("history_agent", str(tmp_path), task="Read", context={}, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"git cannot read {tmp_path}: fatal: ")
