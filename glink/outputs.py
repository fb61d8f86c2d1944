"""An answer held against what its step declares: format, JSON Schema, artifacts. Called in an agent's thread.

What an agent wrote is data: it is parsed, checked and stored, nothing in it is run or rendered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from glink import digest
from glink.agents.agent import ErrorClass
from glink.bus.blobs import Blobs
from glink.jsontext import JSONEncodeError, JSONError, canonical, dumps, loads
from glink.limits import Limits
from glink.workflow import Output, matches


class OutputProblem(ValueError):
    """The answer is not what the step declares; the text goes to the agent when it is asked again."""

    def __init__(self, code: str, message: str, cls: ErrorClass = ErrorClass.INVALID_OUTPUT) -> None:
        super().__init__(message)
        self.code, self.cls = code, cls


def shaped(wanted: Output, output: Any) -> Any:
    """The answer in the wanted form: text, or a JSON value that its schema accepts; raises OutputProblem."""
    if wanted.format == "text":
        return output if isinstance(output, str) else dumps(output).decode()
    value = _parsed(output) if isinstance(output, str) else output
    if wanted.schema is not None:
        errors = _checker(canonical(wanted.schema)).errors(value)
        if errors:
            raise OutputProblem("schema", "; ".join(errors[:5]))
    return value


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except JSONError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise OutputProblem("not-json", f"not JSON: {error.msg} at {place}; begins with {text[:80]!r}") from None


@lru_cache(maxsize=256)
def _checker(schema: bytes) -> Any:
    from glink.loading.jsonshape import compile_schema

    return compile_schema(loads(schema))


def collect_artifacts(folder: Path, globs: tuple[str, ...], blobs: Blobs, limits: Limits) -> dict[str, str]:
    """Store every regular file in the attempt's folder that a glob matches: relative path -> sha256.

    Symlinks are never followed, so nothing outside the folder can be taken. Raises OutputProblem for a declared
    artifact that is missing, and past `limits.artifact_files` or `limits.artifact_bytes`.
    """
    found = matching_files(folder, globs, limits)
    unmatched = [glob for glob in globs if not any(matches(path, glob) for path in found)]
    if unmatched:
        raise OutputProblem("artifacts", f"declared artifacts were not made: {', '.join(sorted(unmatched))}")
    return {path: blobs.put_file(folder / path) for path in found}


def matching_files(folder: Path, globs: tuple[str, ...], limits: Limits) -> list[str]:
    """The regular files in an attempt's folder that a glob matches, sorted; raises OutputProblem past the limits."""
    found: list[str] = []
    total = 0
    for path, size in _regular_files(folder, limits.project_files):
        if not any(matches(path, glob) for glob in globs):
            continue
        if not path.isprintable():
            raise OutputProblem("artifacts", f"the name of an artifact holds what is no character of a name: {path!a}")
        found.append(path)
        total += size
        if len(found) > limits.artifact_files or total > limits.artifact_bytes:
            raise OutputProblem(
                "artifacts",
                f"more than {limits.artifact_files} artifacts or {limits.artifact_bytes} bytes of them",
                ErrorClass.TOO_LARGE,
            )
    return sorted(found)


def digest_of(raw: bytes, artifacts: Mapping[str, str]) -> str:
    """The digest of an answer: over its bytes (text, or canonical JSON), and its sorted artifacts where there are any."""
    own = digest.brief(raw)
    return digest.brief(own.encode() + canonical(dict(sorted(artifacts.items())))) if artifacts else own


def raw_of(body: Any) -> bytes:
    """An answer's bytes: text as UTF-8, anything else as canonical JSON; raises OutputProblem where that is too deep."""
    if isinstance(body, str):
        return body.encode("utf-8", "replace")
    try:
        return canonical(body)
    except JSONEncodeError as error:
        raise OutputProblem("not-json", f"not JSON that can be kept: {error}") from None


def check_artifacts(given: Mapping[str, str], globs: tuple[str, ...], blobs: Blobs) -> None:
    """Artifacts that a worker named, path -> sha256: each declared, each stored, none missing; raises OutputProblem."""
    for path, sha in given.items():
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "" in parts or not any(matches(path, glob) for glob in globs):
            raise OutputProblem("artifacts", f"{path[:200]!r} is no declared artifact")
        if not blobs.has(sha):
            raise OutputProblem("artifacts", f"the body of {path[:200]!r} was not stored: PUT /blobs/sha256/{sha[:64]}")
    missing = [glob for glob in globs if not any(matches(path, glob) for path in given)]
    if missing:
        raise OutputProblem("artifacts", f"declared artifacts were not brought: {', '.join(missing)}")


def _regular_files(folder: Path, most: int) -> Iterator[tuple[str, int]]:
    """Relative path and size of every regular file, sorted; what the engine put there is left out."""
    seen = 0
    for parent, folders, files in os.walk(folder):
        inside = os.path.relpath(parent, folder)
        if inside == ".":
            folders[:] = [name for name in folders if name not in ("in", "inputs")]
        folders.sort()
        for name in sorted(files):
            seen += 1
            if seen > most:
                raise OutputProblem(
                    "artifacts", f"more than {most} files in the attempt's folder", ErrorClass.TOO_LARGE
                )
            info = os.lstat(os.path.join(parent, name))
            if stat.S_ISREG(info.st_mode):
                yield (name if inside == "." else f"{inside}/{name}"), info.st_size
