"""YAML text as plain values, with the place of each of them: the one door to PyYAML.

Called by `glink.project` and `glink.config` on text that strangers wrote. libyaml's events are turned into values here,
never by PyYAML's composer, which recurses in C and ends the process on deep nesting. What YAML offers beyond plain data
(tags, anchors, merge keys, several documents) is refused, and the limits hold while the events come in: the parser is
closed at the first one that is passed. Scalars: `true`, `false`, `null` and nothing, decimal numbers without a leading
zero; all else is text. Keys are text as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from glink.errors import Problem
from glink.limits import Limits
from glink.loading.document import Document, Path, Place, quoted, source_line, spell

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_WORDS: Final = {"true": True, "false": False, "null": None, "": None}
# Styles of scalars that need no look at their text: they are no numbers, and escape nothing.
_AS_WRITTEN: Final = frozenset({"'", "|", ">"})
# How a plain scalar begins that may be a word or a number.
_MAY_MEAN_MORE: Final = frozenset({"", *"tfn-0123456789"})
_SUSPECT_KEYS: Final = frozenset({"", "<<"})
_LARGEST: Final = 1 << 63
_DIGITS: Final = 40
# What libyaml would take for a line break where no editor does, and what has no place in a text.
# One set of characters to look for, and only then a look around: an alternative would cost thrice as much.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff](?<!\r(?=\n))")
# Escapes in double quotes bring back what the raw text may not hold.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ORDER_MARKS: Final = ((b"\xef\xbb\xbf", "UTF-8"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_CURES: Final = (
    ("mapping values are not allowed", 'put a text that contains ": " in quotes, or check the indentation'),
    ("cannot start any token", "indent with spaces, and put a text that begins with @, ` or % in quotes"),
    ("did not find expected", "check the indentation and the brackets of this line and of the one before"),
    ("could not find expected ':'", 'write "key: value"; a text of several lines begins with |'),
    ("unexpected end of stream", "close the quote that was opened"),
)


def read_yaml(data: bytes, path: str, limits: Limits) -> Document:
    """The document in `data`; never raises for its content. `path` is what problems show."""
    locate = partial(_places, limits=limits)
    if len(data) > limits.file_bytes:
        what = f"the file has {len(data)} bytes, more than {limits.file_bytes}"
        return Document(path, "", None, (Problem(path, 0, 0, "", what, "split it"),), whole=False, locate=locate)
    text, problem = _decoded(data, path)
    if problem is not None:
        return Document(path, text, None, (problem,), whole=False, locate=locate)
    reader = _Reader(path, text, limits)
    value = reader.read()
    return Document(path, text, value, tuple(sorted(reader.problems)), whole=reader.whole, locate=locate)


def _decoded(data: bytes, path: str) -> tuple[str, Problem | None]:
    for mark, encoding in _ORDER_MARKS:
        if data.startswith(mark):
            return "", Problem(path, 1, 1, "", f"begins with a {encoding} byte order mark", "save it as plain UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = _line_and_column(before, len(before))
        return "", Problem(
            path, line, column, "", "is not UTF-8", "save it as UTF-8", source_line(before, line, column)
        )
    found = _FORBIDDEN.search(text)
    if found is None:
        return text, None
    line, column = _line_and_column(text, found.start())
    what = f"contains the character U+{ord(found[0]):04X}"
    return text, Problem(path, line, column, "", what, "remove it", source_line(text, line, column))


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    begin = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - begin + 1


class _Stop(Exception):
    """A limit was passed, or what follows makes no sense: read no further."""


_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError, OverflowError, MemoryError)


class _Reader:
    """One walk over the events of a text, building its value. What is wrong is noted, and reading goes on."""

    def __init__(self, path: str, text: str, limits: Limits) -> None:
        self.problems: list[Problem] = []
        self.whole = False
        self._path = path
        self._text = text
        self._limits = limits
        self._next: Callable[[], Any]
        self._doubled: list[tuple[Any, Path]] = []
        # What plain scalars stand for: the words, and each number once it was read.
        self._meant: dict[str, Any] = dict(_WORDS)

    def read(self) -> Any:
        """The value of the document; None when there is none."""
        loader = yaml.CLoader(self._text)
        self._next = _events(loader, self._limits)
        try:
            value = self._document()
            self.whole = True
            return value
        except _Stop:
            return None
        except StopIteration:
            self._add(None, (), f"has more than {self._limits.yaml_nodes} values", "split it")
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except _UNREADABLE as error:
            self._add(None, (), f"cannot be read as YAML ({type(error).__name__})")
        finally:
            loader.dispose()
            self._name_doubled()
        return None

    def _document(self) -> Any:
        self._next()
        event = self._next()
        if event.__class__ is StreamEndEvent:
            self._add(None, (), "the file is empty", "write `key: value` lines")
            raise _Stop
        if event.version or event.tags:
            self._add(event, (), "a % directive is not allowed", "remove the line")
        value = self._value(self._next(), ())
        self._next()
        following = self._next()
        if following.__class__ is not StreamEndEvent:
            self._add(following, (), "a second document begins here", "one file holds one document: remove the `---`")
        return value

    def _value(self, event: Any, where: Path) -> Any:
        """The value that begins with `event`; `where` are the keys and indexes that lead to it."""
        kind = event.__class__
        if kind is ScalarEvent:
            return self._scalar(event, where)
        if kind is AliasEvent:
            self._add(event, where, f"the alias *{event.anchor} is not allowed", "write the value out")
            return None
        if event.anchor is not None or event.tag is not None:
            self._refuse(event, where)
        if len(where) >= self._limits.yaml_depth:
            self._add(event, where, f"is nested deeper than {self._limits.yaml_depth} levels", "flatten it")
            raise _Stop
        return self._mapping(where) if kind is MappingStartEvent else self._sequence(where)

    def _mapping(self, where: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        following = self._next
        while (event := following()).__class__ is ScalarEvent:
            key = event.value
            if event.tag is not None or event.anchor is not None or key in mapping or key in _SUSPECT_KEYS:
                self._suspect_key(event, where, mapping)
            elif event.style == '"' and _CONTROLS.search(key):
                self._add(event, where, "a key contains control characters", "remove them")
            event = following()
            if event.__class__ is not ScalarEvent:
                mapping[key] = self._value(event, (*where, key))
            elif (
                event.tag is None
                and event.anchor is None
                and (event.style in _AS_WRITTEN or (not event.style and event.value[:1] not in _MAY_MEAN_MORE))
            ):
                mapping[key] = event.value
            else:
                mapping[key] = self._scalar(event, (*where, key))
        if event.__class__ is not MappingEndEvent:
            self._add(event, where, "a key must be a text", "write `key: value`")
            raise _Stop
        return mapping

    def _sequence(self, where: Path) -> list[Any]:
        sequence: list[Any] = []
        following = self._next
        while (event := following()).__class__ is not SequenceEndEvent:
            read = self._scalar if event.__class__ is ScalarEvent else self._value
            sequence.append(read(event, (*where, len(sequence))))
        return sequence

    def _scalar(self, event: Any, where: Path) -> Any:
        value: str = event.value
        if event.tag is not None or event.anchor is not None:
            self._refuse(event, where)
        elif event.implicit[0]:
            if value[:1] not in _MAY_MEAN_MORE:
                return value
            if value in self._meant:
                return self._meant[value]
            if _NUMBER.fullmatch(value):
                return self._number(event, where)
        elif event.style == '"' and _CONTROLS.search(value):
            self._add(event, where, "the text contains control characters", "remove the escapes")
        return value

    def _number(self, event: Any, where: Path) -> int | float | str:
        text: str = event.value
        if len(text) <= _DIGITS:
            number = float(text) if "." in text else int(text)
            if -_LARGEST <= number < _LARGEST:
                self._meant[text] = number
                return number
        self._add(event, where, "the number is too large", "put it in quotes if it is a text")
        return text

    def _suspect_key(self, event: Any, where: Path, mapping: dict[str, Any]) -> None:
        key = event.value
        if event.tag is not None or event.anchor is not None:
            self._refuse(event, (*where, key))
        elif key == "<<" and event.implicit[0]:
            self._add(event, where, "the merge key << is not allowed", "write the keys out")
        elif not key:
            self._add(event, where, "a key is missing before the colon", "write `key: value`")
        if key in mapping:
            self._doubled.append((event, (*where, key)))

    def _refuse(self, event: Any, where: Path) -> None:
        if event.tag is not None:
            self._add(event, where, f"the tag {_short_tag(event.tag)} is not allowed", "remove it")
        if event.anchor is not None:
            self._add(event, where, f"the anchor &{event.anchor} is not allowed", "remove it and write values out")

    def _name_doubled(self) -> None:
        if not self._doubled:
            return
        places = _places(self._text, self._limits)
        for event, where in self._doubled:
            first = places[where].key_line
            what = f"the key {quoted(str(where[-1]))} stands here again, first in line {first}"
            self._add(event, where, what, "keep one of the two")

    def _add(self, event: Any, where: Path, what: str, cure: str = "") -> None:
        line, column = (event.start_mark.line + 1, event.start_mark.column + 1) if event else (0, 0)
        source = source_line(self._text, line, column)
        self.problems.append(Problem(self._path, line, column, spell(where), what, cure, source))
        if len(self.problems) >= self._limits.problems:
            raise _Stop

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = error.problem or "is not YAML"
        if error.context and error.context_mark is not None:
            what += f" ({error.context} that began in line {error.context_mark.line + 1})"
        cure = next((cure for sign, cure in _CURES if sign in what), "check the indentation, quotes and brackets")
        self.problems.append(Problem(self._path, line, column, "", what, cure, source_line(self._text, line, column)))


def _events(loader: yaml.CLoader, limits: Limits) -> Callable[[], Any]:
    # islice counts in C; a limit that is checked in the loop costs as much as building the values.
    return islice(iter(loader.get_event, None), limits.yaml_nodes).__next__


def _short_tag(tag: str) -> str:
    return quoted(tag.replace("tag:yaml.org,2002:", "!!")).strip('"')


def _places(text: str, limits: Limits) -> dict[Path, Place]:
    """The place of every value, as far as the text can be read; of doubled keys the first one's."""
    places: dict[Path, Place] = {}
    loader = yaml.CLoader(text)
    following = _events(loader, limits)
    try:
        following()
        following()
        _note(following, following(), None, (), places, depth=limits.yaml_depth)
    except (_Stop, StopIteration, *_UNREADABLE):
        # Whatever ended this walk ended the first one too, and was told there.
        return places
    finally:
        loader.dispose()
    return places


def _note(
    following: Callable[[], Any], event: Any, key: Any, where: Path, places: dict[Path, Place], *, depth: int
) -> None:
    start, named = event.start_mark, (key or event).start_mark
    style = getattr(event, "style", None) or ""
    place = Place(
        start.line + 1, start.column + 1, named.line + 1, named.column + 1, start.index, event.end_mark.index, style
    )
    places.setdefault(where, place)
    kind = event.__class__
    if depth == 0:
        raise _Stop
    if kind is MappingStartEvent:
        while (name := following()).__class__ is ScalarEvent:
            _note(following, following(), name, (*where, name.value), places, depth=depth - 1)
        if name.__class__ is not MappingEndEvent:
            raise _Stop
    elif kind is SequenceStartEvent:
        index = 0
        while (item := following()).__class__ is not SequenceEndEvent:
            _note(following, item, None, (*where, index), places, depth=depth - 1)
            index += 1
