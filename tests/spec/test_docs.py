"""The documents against the code: nothing is missing in them, and what they show is valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from glink.agents import registry
from glink.agents.agent import ErrorClass
from glink.cli.main import VERBS
from glink.config import load_config
from glink.event import ENGINE_TYPES
from glink.fold import TRANSITIONS
from glink.limits import Limits
from glink.loading.schema import workflow_schema
from glink.loading.settings import AgentKeys, CommandKeys, ConfigFile, ReporterKeys
from glink.project import load_project
from glink.reconciler.actions import Reason
from glink.reconciler.policy import RULES
from glink.reporters import registry as reporters
from glink.reporters.news import Kind
from glink.words import REASONS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
DOCS = {path.name: path.read_text() for path in PAGES}


def coded(text: str) -> set[str]:
    """Words in code spans."""
    return {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[A-Za-z_][\w-]*", span)}


def schema_keys() -> set[str]:
    """Every property name in the workflow's JSON Schema."""
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.update(node.get("properties", {}))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(workflow_schema())
    return found


@pytest.mark.parametrize("key", sorted(schema_keys()))
def test_every_workflow_key_is_documented(key: str) -> None:
    assert key in coded(DOCS["workflow.md"])


@pytest.mark.parametrize(
    "key",
    sorted({*ConfigFile.model_fields, *AgentKeys.model_fields, *CommandKeys.model_fields, *ReporterKeys.model_fields}),
)
def test_every_configuration_key_is_documented(key: str) -> None:
    assert key in coded(DOCS["configuration.md"])


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_of_agent_is_documented_with_its_keys(kind: str) -> None:
    assert {kind, *registry.options_model(kind).model_fields} <= coded(DOCS["configuration.md"])


@pytest.mark.parametrize("kind", reporters.kinds())
def test_every_kind_of_reporter_is_documented_with_its_keys(kind: str) -> None:
    assert {kind, *reporters.options_model(kind).model_fields} <= coded(DOCS["configuration.md"])


def test_the_news_are_those_of_the_code() -> None:
    section = DOCS["configuration.md"].partition("## Reporters")[2].partition("## Limits")[0]
    rows = re.findall(r"^\| ((?:`\w+\.\w+` ?)+)\|", section, re.MULTILINE)
    assert {span for row in rows for span in re.findall(r"`([^`]+)`", row)} == set(Kind)


def test_the_table_of_limits_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \| .+ \|$", DOCS["configuration.md"], re.MULTILINE))
    assert rows == {name: str(default) for name, default in Limits._field_defaults.items()}


def test_every_command_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| (.+?) \|", DOCS["commands.md"], re.MULTILINE)
    named = {span.split()[0] for row in rows for span in re.findall(r"`([^`]+)`", row)}
    assert named == set(VERBS)


def test_reasons_and_classes_are_the_closed_lists() -> None:
    assert set(REASONS) >= set(Reason)
    rows = set(re.findall(r"^\| `(\w+)` \|", DOCS["reasons.md"], re.MULTILINE))
    assert rows == set(REASONS) | set(ErrorClass)
    for name, rule in RULES.items():
        words = ["yes" if one else "no" for one in (rule.again, rule.uses, rule.listable)]
        assert f"| `{name}` | {' | '.join(words)} |" in DOCS["reasons.md"]


@pytest.mark.parametrize("name", ["README.md", "workflow.md"])
def test_every_workflow_shown_is_valid(name: str, tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", DOCS[name], re.DOTALL)
    assert shown
    config = load_config(ROOT / "glink-config.yaml", environ={"HOME": str(tmp_path)}, folder=ROOT)
    for number, text in enumerate(shown):
        file = tmp_path / f"p{number}.yaml"
        file.write_text(text)
        assert load_project(f"p{number}", file, tmp_path, limits=config.limits, config=config).problems == ()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_event_that_a_fold_knows_is_documented_and_no_other() -> None:
    rows = set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", DOCS["events.md"], re.MULTILINE))
    assert rows <= ENGINE_TYPES
    assert rows >= {
        *TRANSITIONS,
        "engine.started",
        "engine.stopped",
        "source.observed",
        "agent.cooling",
        "agent.paused",
    }


def test_the_schema_beside_the_examples_is_the_one_of_the_code() -> None:
    assert json.loads((ROOT / "projects/workflow.schema.json").read_text()) == workflow_schema()
