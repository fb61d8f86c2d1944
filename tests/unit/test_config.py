"""The operator's settings: where they come from, which wins, and when the file is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glink.config import Config, load_config
from glink.errors import InvalidInput
from glink.reporters.rules import ReporterSpec, Rules

WHOLE = """
engine: prod
server: {host: "0.0.0.0", port: 9000}
bus: {dir: state/bus, retention_days: 7}
work: {dir: state/work}
reporting:
  - type: console
concurrency: 8
undeclared_agents: pull
agents:
  writer: {type: echo, delay: 1s, env: [WRITER_KEY, LANG], allow: {model: [small, large]}, concurrency: 2, projects: ["team-a/*"],
           timeout: {run: 20m, idle: 3m}, retry: {attempts: 5, delay: 1s}}
  lint: {type: command, command: [ruff, check, "-"], exit_codes: {1: agent_failed}, timeout: 5m}
commands:
  python: {exec: [python3, -I], projects: ["*"], env: [GH_TOKEN], exit_record: true}
limits: {steps: 50, grace: 2}
"""


def write(folder: Path, text: str, name: str = "glink-config.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    return path


def load(folder: Path, text: str | None = None, **environ: str) -> Config:
    if text is not None:
        write(folder, text)
    return load_config(None, environ=environ, folder=folder)


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(folder, text)
    return [str(problem) for problem in caught.value.problems]


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    """No file: no agents, and everything beside the folder."""
    config = load(tmp_path)
    assert config.path is None
    assert (config.projects_dir, config.bus_dir, config.work_dir) == (
        tmp_path / "projects",
        tmp_path / "bus",
        tmp_path / "work",
    )
    assert (config.host, config.port, config.retention_days, config.concurrency) == ("127.0.0.1", 8426, 30, 64)
    assert (config.agents, config.commands, config.undeclared_agents) == ({}, {}, "error")
    assert config.reporting == (ReporterSpec("console"),)


def test_the_whole_vocabulary_is_read(tmp_path: Path) -> None:
    """Every key arrives; relative paths start from the file's folder."""
    config = load(tmp_path, WHOLE)
    assert config.path == tmp_path / "glink-config.yaml"
    assert (config.engine, config.host, config.port) == ("prod", "0.0.0.0", 9000)
    assert (config.bus_dir, config.work_dir) == (tmp_path / "state/bus", tmp_path / "state/work")
    assert (config.concurrency, config.undeclared_agents) == (8, "pull")
    assert (config.limits.steps, config.limits.grace) == (50, 2.0)
    writer = config.agents["writer"]
    assert (writer.kind, dict(writer.options), writer.env) == ("echo", {"delay": "1s"}, ("WRITER_KEY", "LANG"))
    assert (dict(writer.allow), writer.concurrency) == ({"model": ("small", "large")}, 2)
    assert (dict(writer.timeout), dict(writer.retry)) == ({"run": 1200.0, "idle": 180.0}, {"attempts": 5, "delay": 1.0})
    assert writer.serves("team-a/news")
    assert not writer.serves("news")
    assert dict(config.agents["lint"].timeout) == {"run": 300.0}
    python = config.commands["python"]
    assert (python.exec, python.env, python.exit_record) == (("python3", "-I"), ("GH_TOKEN",), True)


def test_the_documents_of_the_first_glink_are_read(tmp_path: Path) -> None:
    """The configuration as first described still loads."""
    text = 'server:\n  host: "127.0.0.1"\n  port: 8426\nbus:\n  dir: "bus"\n  retention_days: 30\nreporting:\n  - type: console\n'
    assert load(tmp_path, text).bus_dir == tmp_path / "bus"


def test_variables_beat_the_file_and_flags_beat_variables(tmp_path: Path) -> None:
    """Flags, then GLINK_*, then the file."""
    environ = {
        "GLINK_PORT": "7000",
        "GLINK_BUS_DIR": "/elsewhere/bus",
        "GLINK_ENGINE": "dev",
        "GLINK_PROJECTS_DIR": "p",
    }
    config = load(tmp_path, WHOLE, **environ)
    assert (config.port, config.bus_dir, config.engine) == (7000, Path("/elsewhere/bus"), "dev")
    assert config.projects_dir == tmp_path / "p"
    flagged = load_config(None, environ=environ, folder=tmp_path, projects_dir=Path("/q"))
    assert flagged.projects_dir == Path("/q")


def test_another_file_is_named_by_path_or_variable(tmp_path: Path) -> None:
    """--config and GLINK_CONFIG name a file, whose folder is the base."""
    (tmp_path / "ops").mkdir()
    path = write(tmp_path / "ops", "engine: x\n", "mine.yaml")
    assert load_config(path, environ={}, folder=tmp_path).bus_dir == tmp_path / "ops/bus"
    assert load(tmp_path, GLINK_CONFIG="ops/mine.yaml").engine == "x"


def test_a_file_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Only the default file may be missing."""
    with pytest.raises(InvalidInput, match="the configuration cannot be read: No such file or directory"):
        load_config(tmp_path / "gone.yaml", environ={}, folder=tmp_path)


def test_all_mistakes_are_told_at_once_with_their_place(tmp_path: Path) -> None:
    """Misspelt keys, kinds, limits and wrong types, each with a cure."""
    text = """\
enigne: prod
agents:
  a: {type: ecko}
  b: {type: command, comand: [x], projcts: ["*"]}
  c: {delay: 1s}
  "d d": {type: echo}
  e: echo
commands:
  python: {exec: python3}
limits: {stepz: 1, steps: 1.5, grace: -1}
undeclared_agents: push
"""
    assert refused(tmp_path, text) == [
        'glink-config.yaml:1:1: enigne: unknown key; did you mean "engine"?',
        'glink-config.yaml:3:13: agents.a.type: unknown kind of agent "ecko"; did you mean "echo"?',
        'glink-config.yaml:4:22: agents.b.comand: unknown key; did you mean "command"?',
        'glink-config.yaml:4:35: agents.b.projcts: unknown key; did you mean "projects"?',
        "glink-config.yaml:5:3: agents.c.type: is missing; add `type:`",
        'glink-config.yaml:6:3: agents["d d"]: is not a name of an agent; write letters, digits, ., _ and - (63 at most)',
        "glink-config.yaml:7:6: agents.e: must be a mapping; write {type: ...}",
        "glink-config.yaml:9:18: commands.python.exec: must be a list, not a text; write it as a list: [...]",
        'glink-config.yaml:10:10: limits.stepz: unknown limit "stepz"; did you mean "steps"?',
        "glink-config.yaml:10:27: limits.steps: must be a whole number above 0; the default is 1000",
        "glink-config.yaml:10:39: limits.grace: must be a number above 0; the default is 10.0",
        "glink-config.yaml:11:20: undeclared_agents: must be error or pull",
    ]


@pytest.mark.parametrize(
    "key", ["brake", "budgets", "people", "hooks", "repos", "include", "watch", "on_change", "defaults"]
)
def test_what_is_not_built_is_unknown(tmp_path: Path, key: str) -> None:
    """A key that does nothing yet is refused, never ignored."""
    assert "unknown key" in refused(tmp_path, f"{key}: x\n")[0]


def test_values_are_never_repeated(tmp_path: Path) -> None:
    """A configuration may hold secrets by mistake: errors show no value."""
    (said,) = refused(tmp_path, "agents:\n  a: {type: echo, env: hunter2hunter2}\n")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o666, "can be written by everybody; chmod o-w the file"), (0o646, "can be written by everybody")],
)
def test_a_file_that_everybody_can_write_is_refused(tmp_path: Path, mode: int, said: str) -> None:
    """Who writes the configuration decides what runs."""
    write(tmp_path, "engine: x\n").chmod(mode)
    with pytest.raises(InvalidInput, match=said):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_file_is_refused(tmp_path: Path) -> None:
    """The file belongs to root or to who runs Glink."""
    os.chown(write(tmp_path, "engine: x\n"), 4_242, -1)
    with pytest.raises(InvalidInput, match="belongs to somebody else"):
        load(tmp_path)


def test_a_file_below_projects_is_refused(tmp_path: Path) -> None:
    """Workflows come from there, and a workflow cannot bring a command; a link does not help."""
    (tmp_path / "projects").mkdir()
    path = write(tmp_path / "projects", "engine: x\n", "c.yaml")
    (tmp_path / "glink-config.yaml").symlink_to(path)
    with pytest.raises(InvalidInput, match="lies below projects/"):
        load(tmp_path)


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    """What is no regular file is refused at once."""
    os.mkfifo(tmp_path / "glink-config.yaml", 0o600)
    with pytest.raises(InvalidInput, match="is not a regular file"):
        load(tmp_path)


def test_an_empty_file_is_a_mistake(tmp_path: Path) -> None:
    """Nothing at all was surely not meant."""
    assert refused(tmp_path, "") == ["glink-config.yaml: the file is empty; write `key: value` lines"]


def test_work_goes_out_of_a_git_work_tree(tmp_path: Path) -> None:
    """Agents do not start inside a checkout: then work lies under XDG_STATE_HOME or HOME."""
    (tmp_path / ".git").mkdir()
    stated = load(tmp_path, XDG_STATE_HOME="/state")
    assert stated.work_dir.parts[:3] == ("/", "state", "glink")
    assert stated.work_dir.name == "work"
    at_home = load(tmp_path, HOME="/home/ana")
    assert at_home.work_dir.parent == Path("/home/ana/.local/state/glink") / stated.work_dir.parent.name
    with pytest.raises(InvalidInput, match="there is no HOME to put it under"):
        load(tmp_path)


def test_work_may_not_lie_in_the_bus_directory(tmp_path: Path) -> None:
    """Agents' folders are kept apart from run state."""
    assert refused(tmp_path, "work: {dir: bus/../bus/work}\n") == [
        "glink-config.yaml:1:13: work.dir: lies in the bus directory; name a folder beside it"
    ]


def test_only_what_decides_an_answer_is_in_the_profile(tmp_path: Path) -> None:
    """Environment, concurrency, retry, time-outs and projects leave the profile alone; the kind's options do not."""
    base = load(tmp_path, "agents: {a: {type: command, command: [x]}}\n").agents["a"].profile
    tuned = "agents: {a: {type: command, command: [x], env: [K], concurrency: 3, timeout: 1m, retry: {attempts: 1}, exit_record: true}}\n"
    assert load(tmp_path, tuned).agents["a"].profile == base
    assert load(tmp_path, "agents: {a: {type: command, command: [y]}}\n").agents["a"].profile != base


def test_secrets_are_values_of_declared_variables_that_look_like_secrets(tmp_path: Path) -> None:
    """Long enough, declared, and named like a secret; the longest first, and never shown."""
    environ = {
        "WRITER_KEY": "sk-1234567890",
        "LANG": "en_US.UTF-8",
        "GH_TOKEN": "short",
        "OTHER_TOKEN": "not-declared-at-all",
        "GLINK_API_TOKEN": "the-token-of-the-api",
    }
    config = load(tmp_path, WHOLE, **environ)
    assert config.secrets == ("the-token-of-the-api", "sk-1234567890")
    assert "sk-1234567890" not in repr(config)


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    """GLINK_PORT is checked like the file."""
    with pytest.raises(InvalidInput, match="GLINK_PORT: is not a port; write a number from 0 to 65535"):
        load(tmp_path, GLINK_PORT="80_80")


def test_reporters_have_rules_and_keys_of_their_kind(tmp_path: Path) -> None:
    """`[]` is silence; whatever is not written is left to the reporter."""
    text = """\
reporting:
  - type: console
  - {type: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET, when: ["run.*", step.failed], labels: {team: a}, projects: ["a/*"], group: 5m}
"""
    console, hook = load(tmp_path, text).reporting
    assert console == ReporterSpec("console")
    assert (hook.kind, dict(hook.options)) == ("webhook", {"url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"})
    assert hook.rules == Rules(("run.*", "step.failed"), {"team": "a"}, ("a/*",), 300.0)
    assert load(tmp_path, "reporting: []\n").reporting == ()


def test_mistakes_in_reporters_are_told_with_their_place(tmp_path: Path) -> None:
    """Kinds, keys, news that there are not, and addresses, which are not repeated."""
    text = """\
reporting:
  - console
  - {type: wehbook}
  - {type: webhook}
  - {type: webhook, url: "http://hunter2:hunter2@x/", grup: 5m}
  - {type: feishu, url: "http://x/", url_env: X}
  - {type: console, when: [run.faild, "*"], group: soon}
  - {type: webhook, url: "http://x/", body: {text: "{{ txt }}"}}
"""
    said = refused(tmp_path, text)
    assert said == [
        "glink-config.yaml:2:5: reporting[0]: must be a mapping; write {type: ...}",
        'glink-config.yaml:3:12: reporting[1].type: unknown kind of reporter "wehbook"; did you mean "webhook"?',
        "glink-config.yaml:4:5: reporting[2]: needs one address; write `url: http://...`, or `url_env: VARIABLE`",
        "glink-config.yaml:5:26: reporting[3].url: holds a user or a password; put them into a header",
        'glink-config.yaml:5:55: reporting[3].grup: unknown key; did you mean "group"?',
        "glink-config.yaml:6:5: reporting[4]: needs one address; write `url: https://...`, or `url_env: VARIABLE`",
        "glink-config.yaml:7:52: reporting[5].group: is not a duration; write a duration such as 90s, 10m, 1h30m, 250ms, or a number of seconds",
        "glink-config.yaml:8:45: reporting[6].body: body.text: `txt` is not offered; did you mean `text`? the names are agent, labels, news, project, run, step, text, time, type",
    ]
    assert refused(tmp_path, "reporting:\n  - {type: console, when: [run.faild]}\n") == [
        'glink-config.yaml:2:28: reporting[0].when[0]: unknown news "run.faild"; did you mean "run.failed"?'
    ]


def test_all_that_a_key_ending_in_env_names_is_a_secret(tmp_path: Path) -> None:
    """Whatever the variable is called; of `Bearer abc` the last word by itself as well."""
    text = """\
agents:
  a: {type: http, url: "http://x/", headers_env: {Authorization: CRITIC_AUTH}}
reporting:
  - {type: webhook, url_env: HOOK, secret_env: SIGN}
"""
    environ = {
        "CRITIC_AUTH": "Bearer abcdefgh",
        "HOOK": "https://hooks.example/T0/B0",
        "SIGN": "whsec_YWJj",
        "OTHER": "x" * 9,
    }
    secrets = load(tmp_path, text, **environ).secrets
    assert secrets == ("https://hooks.example/T0/B0", "Bearer abcdefgh", "whsec_YWJj", "abcdefgh")


def test_where_a_service_is_and_its_keys_are_not_in_its_profile(tmp_path: Path) -> None:
    """What it is sent, and what is taken of its answer, are."""
    one = 'agents:\n  a: {type: http, url: "http://x/", body: {m: "{{ task }}"}, pick: r, headers: {X: a}}\n'
    profile = load(tmp_path, one).agents["a"].profile
    assert load(tmp_path, one.replace("http://x/", "http://y/").replace("X: a", "X: b")).agents["a"].profile == profile
    assert load(tmp_path, one.replace("pick: r", "pick: s")).agents["a"].profile != profile
    assert load(tmp_path, one.replace("{m:", "{n:")).agents["a"].profile != profile


def test_an_agents_own_keys_are_told_in_the_words_of_the_rest(tmp_path: Path) -> None:
    """Nothing of the validator's own language."""
    text = 'agents:\n  a: {type: command, command: "ls -l"}\n  b: {type: command, command: [bash, -c]}\n'
    cure = "name a script file, or use a `run:` step"
    assert refused(tmp_path, text) == [
        "glink-config.yaml:2:31: agents.a.command: must be a list, not a text; write it as a list: [...]",
        f"glink-config.yaml:3:31: agents.b.command: bash would run the task as program text; {cure}",
    ]
