"""The operator's settings: `glink-config.yaml`, read once.

Called by `glink.app` and by every verb. Flags beat `GLINK_*` variables, which beat the file, which beats the defaults.
The file decides what may be run on this machine, so it is refused where others could have written it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from glink import digest
from glink.errors import InvalidInput, Problem
from glink.jsontext import canonical
from glink.limits import Limits
from glink.loading.canonical import written
from glink.loading.configtext import FILE_NAME, config_text
from glink.loading.document import Document, spell
from glink.loading.document import Path as Where
from glink.loading.folder import Folder, UnreadableError
from glink.loading.mistakes import Mistake, mistakes, unknown
from glink.loading.salvage import as_far_as_right
from glink.loading.settings import AgentKeys, CommandKeys, ConfigFile, ReporterKeys, TokenKeys
from glink.loading.vocabulary import AGENT_NAME, Strict
from glink.loading.yamltext import read_yaml
from glink.permit import TokenSpec
from glink.reporters.news import Kind
from glink.reporters.rules import ReporterSpec, Rules
from glink.roster import AgentSpec, CommandSpec

_LIMITS: Final = Limits()
_SECRET_CHARACTERS: Final = 8
_TOKEN_CHARACTERS: Final = 512
_SECRET_NAME: Final = re.compile(
    r"(?:^|_)(?:\w*KEY|\w*TOKEN|\w*SECRET|\w*PASSWORD|PASS|\w*PASSPHRASE|\w*CREDENTIALS?)$"
)
# These keys of a kind do not decide what it answers.
_NO_PROFILE: Final = frozenset({"exit_record", "url", "headers", "headers_env"})

Common = TypeVar("Common", AgentKeys, ReporterKeys)


class Registry(Protocol):
    """The kinds of something: of agents, of reporters."""

    def kinds(self) -> tuple[str, ...]: ...

    def options_model(self, kind: str) -> type[BaseModel]: ...


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force. `path` is the file, None without one; `base` is what its relative paths start from.

    `api_token` is the operator's own token for the API, if there is one. `secrets` are values of declared variables that
    look like secrets: whoever writes text down replaces them. `digest` is of the file's bytes, "" without one.
    """

    path: Path | None
    base: Path
    engine: str | None
    projects_dir: Path
    bus_dir: Path
    work_dir: Path
    retention_days: int
    network: bool
    host: str
    port: int
    reporting: tuple[ReporterSpec, ...]
    agents: Mapping[str, AgentSpec]
    commands: Mapping[str, CommandSpec]
    concurrency: int
    undeclared_agents: Literal["error", "pull"]
    limits: Limits
    auth: Literal["token", "none"]
    behind_proxy: bool
    hosts: tuple[str, ...]
    tokens: tuple[TokenSpec, ...]
    api_token: str | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    digest: str = ""


def load_config(
    path: Path | None, *, environ: Mapping[str, str], folder: Path, projects_dir: Path | None = None
) -> Config:
    """The settings: of the file `path`, of $GLINK_CONFIG, of `glink-config.yaml` in `folder`, or the defaults.

    Raises InvalidInput with everything that is wrong.
    """
    named = path or (Path(environ["GLINK_CONFIG"]) if environ.get("GLINK_CONFIG") else None)
    file = folder / (named or FILE_NAME)
    base = file.parent.absolute()
    projects = base / (projects_dir or environ.get("GLINK_PROJECTS_DIR") or "projects")
    if named is None and not os.path.lexists(file):
        return _Reading(None, base, projects, environ).config(ConfigFile())
    reading = _Reading(file, base, projects, environ)
    return reading.config(reading.file(named or Path(FILE_NAME)))


class _Reading:
    """One reading of the file: problems are gathered, and raised together at its end."""

    def __init__(self, path: Path | None, base: Path, projects: Path, environ: Mapping[str, str]) -> None:
        self._path = path
        self._base = base
        self._projects = projects
        self._environ = environ
        self._document: Document | None = None
        self._digest = ""
        self._problems: list[Problem] = []

    def file(self, shown: Path) -> ConfigFile:
        """The validated file; raises InvalidInput where nothing can be made of it."""
        document = read_yaml(self._data(str(shown)), str(shown), _LIMITS)
        self._document = document
        self._problems += document.problems
        value = document.value if document.value is not None else {}
        if not document.whole:
            raise InvalidInput(self._problems)
        found: list[Mistake] = []
        file, _ = as_far_as_right(ConfigFile, value, (), found)
        self._report(found)
        if file is None:
            raise InvalidInput(self._problems)
        return file

    def _data(self, shown: str) -> bytes:
        try:
            data = config_text(self._path or self._base, self._projects)
        except UnreadableError as fault:
            raise InvalidInput([Problem(shown, 0, 0, "", f"the configuration {fault}", fault.cure)]) from None
        self._digest = digest.of_bytes(data)
        return data

    def _report(self, found: Iterable[Mistake]) -> None:
        for one in found:
            if self._document is None:
                self._problems.append(Problem("", 0, 0, spell(one.where), one.what, one.cure))
            else:
                self._problems.append(self._document.problem(one.where, one.what, one.cure, at_key=one.at_key))

    def config(self, file: ConfigFile) -> Config:
        """The settings in force; raises InvalidInput."""
        limits = self._limits(file.limits)
        agents = {name: spec for name, keys in file.agents.items() if (spec := self._agent(name, keys)) is not None}
        commands = {name: _command(name, keys) for name, keys in file.commands.items()}
        reporting = [told for index, keys in enumerate(file.reporting) if (told := self._reporter(index, keys))]
        environ = self._environ
        api_token = self._api_token()
        bus = self._base / (environ.get("GLINK_BUS_DIR") or file.bus.dir)
        config = Config(
            path=self._path,
            base=self._base,
            engine=environ.get("GLINK_ENGINE") or file.engine,
            projects_dir=self._projects,
            bus_dir=bus,
            work_dir=self._work_dir(environ.get("GLINK_WORK_DIR") or file.work.dir, bus),
            retention_days=file.bus.retention_days,
            network=file.bus.network,
            host=environ.get("GLINK_HOST") or file.server.host,
            port=self._port(file.server.port),
            reporting=tuple(reporting),
            agents=agents,
            commands=commands,
            concurrency=file.concurrency or limits.concurrency,
            undeclared_agents=file.undeclared_agents,
            limits=limits,
            auth=file.server.auth,
            behind_proxy=file.server.behind_proxy,
            hosts=tuple(file.server.hosts),
            tokens=self._tokens(file.tokens),
            api_token=api_token,
            secrets=_secrets(
                [*agents.values(), *commands.values()], [*agents.values(), *reporting], environ, api_token
            ),
            digest=self._digest,
        )
        if self._problems:
            raise InvalidInput(self._problems)
        return config

    def _port(self, port: int) -> int:
        written = self._environ.get("GLINK_PORT")
        if not written:
            return port
        if written.isascii() and written.isdecimal() and len(written) <= 5 and int(written) <= 65_535:
            return int(written)
        self._problems.append(Problem("GLINK_PORT", 0, 0, "", "is not a port", "write a number from 0 to 65535"))
        return port

    def _tokens(self, written: Sequence[TokenKeys]) -> tuple[TokenSpec, ...]:
        for place, one in enumerate(written):
            for key in ("name", "sha256"):
                if any(getattr(one, key) == getattr(earlier, key) for earlier in written[:place]):
                    self._report([Mistake(("tokens", place, key), "is that of an earlier token", "choose another")])
        return tuple(TokenSpec(one.name, one.sha256, tuple(one.may), tuple(one.projects)) for one in written)

    def _api_token(self) -> str | None:
        """GLINK_API_TOKEN, or what stands in the file that GLINK_API_TOKEN_FILE names."""
        name, token = "GLINK_API_TOKEN", self._environ.get("GLINK_API_TOKEN")
        if not token and (named := self._environ.get("GLINK_API_TOKEN_FILE")):
            name = "GLINK_API_TOKEN_FILE"
            try:
                file = self._base / named
                token = Folder(file.parent).read(file.name, _TOKEN_CHARACTERS + 2).decode().strip()
            except (UnreadableError, OSError, UnicodeDecodeError) as error:
                self._problems.append(Problem(name, 0, 0, "", "cannot be read", f"check the file: {error}"))
                return None
            if not token:
                self._problems.append(Problem(name, 0, 0, "", "names an empty file", "write the token into it"))
        if token and not re.fullmatch(rf"[!-~]{{1,{_TOKEN_CHARACTERS}}}", token):
            cure = f"write at most {_TOKEN_CHARACTERS} visible ASCII characters, no spaces"
            self._problems.append(Problem(name, 0, 0, "", "is not a token", cure))
        return token or None

    def _limits(self, written: Mapping[str, int | float]) -> Limits:
        values: dict[str, Any] = {}
        for name, value in written.items():
            where = ("limits", name)
            default = getattr(_LIMITS, name, None) if name in Limits._fields else None
            if default is None:
                what, cure = unknown("limit", name, Limits._fields)
                self._report([Mistake(where, what, cure, at_key=True)])
            elif value <= 0 or (isinstance(default, int) and isinstance(value, float)):
                kind = "whole number" if isinstance(default, int) else "number"
                self._report([Mistake(where, f"must be a {kind} above 0", f"the default is {default}")])
            else:
                values[name] = type(default)(value)
        return _LIMITS._replace(**values)

    def _agent(self, name: str, keys: Any) -> AgentSpec | None:
        where = ("agents", name)
        if not AGENT_NAME.fullmatch(name):
            cure = "write letters, digits, ., _ and - (63 at most)"
            self._report([Mistake(where, "is not a name of an agent", cure, at_key=True)])
        from glink.agents import registry

        found = self._of_a_kind(where, keys, AgentKeys, "kind of agent", registry)
        if found is None:
            return None
        common, options = found
        deciding = {key: value for key, value in options.items() if key not in _NO_PROFILE}
        return AgentSpec(
            name=name,
            kind=common.type,
            options=options,
            env=tuple(common.env),
            allow={key: tuple(values) for key, values in common.allow.items()},
            concurrency=common.concurrency,
            retry=written(common.retry),
            timeout=written(common.timeout),
            projects=tuple(common.projects),
            profile=digest.brief(canonical({"kind": common.type, "options": deciding})),
        )

    def _reporter(self, index: int, keys: Any) -> ReporterSpec | None:
        from glink.reporters import registry

        where = ("reporting", index)
        found = self._of_a_kind(where, keys, ReporterKeys, "kind of reporter", registry)
        if found is None:
            return None
        common, options = found
        for place, glob in enumerate(common.when or ()):
            if not any(fnmatchcase(kind, glob) for kind in Kind):
                self._report([Mistake((*where, "when", place), *unknown("news", glob, list(Kind)))])
        rules = Rules(tuple(common.when) if common.when else None, common.labels, tuple(common.projects), common.group)
        return ReporterSpec(common.type, options, rules)

    def _of_a_kind(
        self, where: Where, keys: Any, model: type[Common], word: str, registry: Registry
    ) -> tuple[Common, dict[str, Any]] | None:
        """The keys that every kind has, and those of this one; None when something is wrong with them."""
        if not isinstance(keys, dict):
            self._report([Mistake(where, "must be a mapping", "write {type: ...}")])
            return None
        general = {key: value for key, value in keys.items() if key in model.model_fields}
        options = {key: value for key, value in keys.items() if key not in model.model_fields}
        common: Common | None = None
        try:
            common = model.model_validate(general)
        except ValidationError as error:
            self._report(mistakes(error, general, model, where))
        kind = keys.get("type")
        if not isinstance(kind, str):
            return None
        right = self._options(where, kind, options, model, word, registry)
        return (common, options) if right and common is not None else None

    def _options(
        self, where: Where, kind: str, options: dict[str, Any], beside: type[Strict], word: str, registry: Registry
    ) -> bool:
        """Whether the keys of the kind are right."""
        try:
            model = registry.options_model(kind)
        except KeyError:
            self._report([Mistake((*where, "type"), *unknown(word, kind, registry.kinds()))])
            return False
        try:
            model.model_validate(options)
        except ValidationError as error:
            self._report(mistakes(error, options, model, where, beside=beside))
            return False
        return True

    def _work_dir(self, named: str | None, bus: Path) -> Path:
        if named is not None:
            work = self._base / named
            if work.resolve().is_relative_to(bus.resolve()):
                self._report([Mistake(("work", "dir"), "lies in the bus directory", "name a folder beside it")])
            return work
        beside = bus.parent / "work"
        if not _in_work_tree(beside):
            return beside
        state, home = self._environ.get("XDG_STATE_HOME"), self._environ.get("HOME")
        if state or home:
            root = Path(state) if state else Path(home or "/", ".local", "state")
            return root / "glink" / digest.brief(os.fsencode(bus.resolve())) / "work"
        what = "would lie in a git work tree, and there is no HOME to put it under"
        self._report([Mistake(("work", "dir"), what, "write work: {dir: ...}")])
        return beside


def _in_work_tree(path: Path) -> bool:
    return any((parent / ".git").exists() for parent in path.resolve().parents)


def _command(name: str, keys: CommandKeys) -> CommandSpec:
    return CommandSpec(
        name=name,
        exec=tuple(keys.exec),
        projects=tuple(keys.projects),
        env=tuple(keys.env),
        exit_record=keys.exit_record,
        profile=digest.brief(canonical(keys.exec)),
    )


def _secrets(
    declared: Iterable[AgentSpec | CommandSpec],
    made: Iterable[AgentSpec | ReporterSpec],
    environ: Mapping[str, str],
    api_token: str | None,
) -> tuple[str, ...]:
    """Values of variables that look like secrets by their name, and of all that a key ending in `_env` names.

    Such a key is there for what must not be written down. Of `Bearer abc` the last word alone is a secret as well.
    """
    names = {name for spec in declared for name in spec.env}
    values = {environ.get(name, "") for name in names if _SECRET_NAME.search(name.upper())} | {api_token or ""}
    for spec in made:
        for key, named in spec.options.items():
            if key.endswith("_env"):
                for name in named.values() if isinstance(named, Mapping) else (named,):
                    whole = environ.get(str(name), "")
                    values |= {whole, whole.rpartition(" ")[2]}
    # The longest first: a secret that begins with another one is replaced whole.
    return tuple(sorted((one for one in values if len(one) >= _SECRET_CHARACTERS), key=lambda one: (-len(one), one)))
