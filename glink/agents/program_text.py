"""Refuses an agent's argv whose program would read its task as program text.

A task is written by people and by other agents; handed to `sh` on stdin it would be run. That is what `run:` steps are
for, where the text is a file of the project and is never rendered. Called by the options of `command`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Reader:
    """A program that runs its stdin, unless a word says otherwise.

    `program` are flags after which the argument is the program and stdin is data; `refused` are those that are not
    to be used at all; `valued` take the word after them. All match a whole word.
    """

    name: re.Pattern[str]
    program: re.Pattern[str]
    refused: re.Pattern[str]
    valued: re.Pattern[str]


def _reader(name: str, *, program: str = "", refused: str = "", valued: str = "") -> _Reader:
    never = r"(?!)"
    return _Reader(*(re.compile(one or never) for one in (name, program, refused, valued)))


# A shell is refused with -c as well: a command is a list of words, never a line for a shell.
_READERS = (
    _reader(
        r"(ba|da|z|k|mk|a|fi|c|tc|rba|ya)?sh",
        refused=r"-[A-Za-z]*[cs][A-Za-z]*|--command(=.*)?",
        valued=r"[-+][A-Za-z]*[oO]|--rcfile|--init-file",
    ),
    _reader(r"python[0-9.]*", program=r"-[A-Za-z]*[cm].*", valued=r"-[A-Za-z]*[WX]"),
    _reader(r"perl[0-9.]*", program=r"-\w*[eE].*", valued=r"-I"),
    _reader(r"ruby[0-9.]*", program=r"-\w*e.*", valued=r"-I|-r"),
    _reader(
        r"node(js)?|bun|deno", program=r"-[ep]+|--(eval|print)(=.*)?|run|eval|test", valued=r"-r|--require|--import"
    ),
    _reader(r"php[0-9.]*", program=r"-r|--run", valued=r"-c|-d"),
    _reader(r"lua(jit)?[0-9.]*", program=r"-e.*", valued=r"-l"),
)
_WRAPPERS = frozenset(("env", "nice", "nohup", "setsid", "stdbuf", "timeout", "busybox", "sudo", "doas", "ionice"))
_OF_A_WRAPPER = re.compile(r"-.*|[0-9.]+[smhd]?|\w+=.*")
_STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))


def reads_program_text(argv: Sequence[str]) -> str | None:
    """The word of `argv` that names a program which would run what it reads from stdin (or at a path), or None."""
    words = iter(argv)
    word = _program(words)
    for reader in _READERS:
        if reader.name.fullmatch(os.path.basename(word)):
            return word if _runs_stdin(reader, words) else None
    return None


def _program(words: Iterator[str]) -> str:
    """The first word that is neither a wrapper nor an argument of one."""
    wrapped = False
    for word in words:
        if os.path.basename(word) in _WRAPPERS:
            wrapped = True
        elif not (wrapped and _OF_A_WRAPPER.fullmatch(word)):
            return word
    return ""


def _runs_stdin(reader: _Reader, arguments: Iterator[str]) -> bool:
    for word in arguments:
        if word == "--":
            return next(arguments, "-") in _STDIN
        if word in _STDIN or reader.refused.fullmatch(word):
            return True
        if reader.program.fullmatch(word):
            return False
        if reader.valued.fullmatch(word):
            next(arguments, None)
        elif word[:1] not in {"-", "+"}:
            return False
    return True
