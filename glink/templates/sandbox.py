"""Jinja, fenced in: the environment, the capped filters, compiling and rendering. Called by `template` when it needs Jinja.

Only trees that passed `allowlist` are compiled, constants are never folded, the globals are empty, nothing can be
called, and names reach data alone (`values.lookup`).
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, UndefinedError, nodes, pass_context
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS

from glink.limits import Limits
from glink.templates import arguments
from glink.templates.allowlist import Check
from glink.templates.budget import Budget
from glink.templates.filters import OURS
from glink.templates.names import OFFERED, Found, Names, NoteQuery, text_key
from glink.templates.problems import RenderProblem, TemplateProblem
from glink.templates.syntax import COUNTED, SLICED, WEIGHED, Scope, check_depth
from glink.templates.values import Absent, Group, Steps, lookup, text_of

_RESULT: Final = "result"
_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
# Filters whose cost or result does not grow with a text; all others take none longer than what may be shown.
_TAKE_LONG_TEXTS: Final = frozenset({"default", "first", "fromjson", "last", "length", "string", "trim", "truncate"})
# Filters that take a mapping as a whole; all others take its keys, in order.
_TAKE_MAPPINGS: Final = frozenset({"default", "fence", "items", "length", "string", "tojson"})


class _RenderContext(Context):
    """The values of one rendering, with what it may still do."""

    def __init__(self, environment: Sandbox, values: dict[str, Any], compiled: Template, limits: Limits) -> None:
        super().__init__(environment, values, None, compiled.blocks)
        self.budget = Budget(limits)


def _budget(context: Context) -> Budget:
    if not isinstance(context, _RenderContext):
        raise TypeError("not one of our contexts")
    return context.budget


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without globals, with the filters and tests that are offered, over data only."""

    intercepted_binops = frozenset(_OPERATORS)

    def __init__(self) -> None:
        # `optimized` would fold constants, and so would a `finalize` without a context.
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, optimized=False, cache_size=0, finalize=_shown
        )
        self.globals.clear()
        self.filters = {name: _capped(name) for name in arguments.FILTERS}
        self.filters |= {COUNTED: _counted, WEIGHED: _weighed, SLICED: _sliced}
        self.tests = {name: JINJA_TESTS[name] for name in arguments.TESTS} | {"none": _is_none}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            str(obj)  # raises, with the reason why it is undefined
        if isinstance(obj, LoopContext):
            return getattr(obj, argument)
        found = lookup(obj, argument)
        return self.undefined(found.why) if isinstance(found, Absent) else found

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)
        budget = _budget(context)
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return budget.result(_OPERATORS[operator](left, right))
        if operator != "+":
            raise RenderProblem(f"`{operator}` works between numbers only")
        if isinstance(left, str) and isinstance(right, str):
            budget.check_length(len(left) + len(right))
        elif not (isinstance(left, list) and isinstance(right, list)):
            raise RenderProblem("`+` works between two numbers, two texts or two lists")
        return budget.result(left + right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        raise RenderProblem("nothing can be called")


@pass_context
def _shown(context: Context, value: Any) -> str:
    """A value as text: what `{{ }}` writes."""
    if type(value) is str:
        return value
    if isinstance(value, Undefined):
        return str(value)  # raises
    budget = _budget(context)
    budget.weigh(value)
    text = text_of(value)
    budget.check_length(len(text))
    return text


@pass_context
def _counted(context: Context, value: Any, weight: int) -> list[Any]:
    """The items that a `for` goes through, each counted before the first round."""
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, (str, Mapping, list, tuple)):
        raise RenderProblem("only lists, mappings and texts have items")
    _budget(context).take(1 + len(value) * weight)
    return sorted(value) if isinstance(value, Mapping) else list(value)


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _budget(context).weigh(value)
    return value


@pass_context
def _sliced(context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, (str, list, tuple)):
        raise RenderProblem("only texts and lists have slices")
    budget = _budget(context)
    budget.weigh(value)
    return value[start:stop:step]


def _is_none(value: Any) -> bool:
    return value is None or isinstance(value, Undefined)


def _capped(name: str) -> Callable[..., Any]:
    """The filter of this name, its argument and its result weighed and within the limits."""
    function = _ours(name) if name in OURS else _jinjas(name)

    @pass_context
    def capped(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, Undefined) and name != "default":
            str(value)
        if isinstance(value, Mapping) and name not in _TAKE_MAPPINGS:
            value = sorted(value)
        budget = _budget(context)
        if isinstance(value, str) and name not in _TAKE_LONG_TEXTS:
            budget.check_length(len(value))
        budget.weigh(value)
        result = function(context, value, *args, **kwargs)
        return result if isinstance(result, Undefined) else budget.result(result)

    return capped


def _ours(name: str) -> Callable[..., Any]:
    function = OURS[name]

    def ours(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        return function(_budget(context), value, *args, **kwargs)

    def join(context: Context, value: Any, d: str = "", attribute: Any = None) -> Any:
        if attribute is not None:
            value = context.environment.call_filter("map", value, kwargs={"attribute": attribute}, context=context)
        return function(_budget(context), value, d)

    return join if name == "join" else ours


def _jinjas(name: str) -> Callable[..., Any]:
    function = JINJA_FILTERS[name]
    wants = getattr(function, "jinja_pass_arg", None)
    given = None if wants is None else wants.name

    def jinjas(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        match given:
            case None:
                result = function(value, *args, **kwargs)
            case "context":
                result = function(context, value, *args, **kwargs)
            case "eval_context":
                result = function(context.eval_ctx, value, *args, **kwargs)
            case _:
                result = function(context.environment, value, *args, **kwargs)
        return [Group((key, list(items))) for key, items in result] if name == "groupby" else result

    return jinjas


@cache
def _environment() -> Sandbox:
    return Sandbox()


def parse(source: str, limits: Limits) -> nodes.Template:
    """The syntax tree of a template; raises TemplateProblem."""
    with _problems_of_the_text():
        return _parser(source, limits).parse()


def _parse_expression(source: str, limits: Limits) -> nodes.Expr:
    with _problems_of_the_text():
        parser = _parser(source, limits, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateProblem("there is more after the expression", "write one expression, without {{ }}")
        return expression


def _parser(source: str, limits: Limits, state: str | None = None) -> Parser:
    """A parser that reads a bounded number of tokens: it takes microseconds for each."""
    parser = Parser(_environment(), source, state=state)
    parser.stream = TokenStream(_bounded(parser.stream, limits.template_tokens), None, None)
    return parser


def _bounded(tokens: Iterable[Token], most: int) -> Iterator[Token]:
    for count, token in enumerate(tokens):
        if count >= most:
            raise TemplateProblem(f"more than {most} words and signs", "take it apart", line=token.lineno)
        yield token


@contextmanager
def _problems_of_the_text() -> Iterator[None]:
    try:
        yield
    except TemplateProblem:
        raise
    except TemplateSyntaxError as error:
        message = (error.message or "not understood").rstrip(".")
        cure = "the tags are if, for, include and raw" if "unknown tag" in message else ""
        raise TemplateProblem(message, cure, line=error.lineno) from None
    except (RecursionError, MemoryError, SyntaxError) as error:
        # Python's own compiler counts its blocks and levels; which it was tells nobody anything.
        raise TemplateProblem("nested too deep", f"take it apart ({type(error).__name__})") from None
    except (ValueError, TypeError, OverflowError, AssertionError, IndexError) as error:
        raise TemplateProblem(f"not understood: {str(error).split(';')[0]}") from None


def compiled_template(source: str, texts: Mapping[str, str], limits: Limits) -> Compiled:
    """Parse, check and compile a template; raises TemplateProblem."""
    return _template(Scope(texts, limits, source), OFFERED)


def compiled_expression(source: str, limits: Limits) -> Compiled:
    """The same for an expression. It has no texts: it can neither include nor read files."""
    return _expression(Scope(None, limits, source), OFFERED)


def compiled_over(source: str, names: frozenset[str], limits: Limits, *, expression: bool) -> Compiled:
    """A template or an expression over these names instead of a task's: each of them is plain data."""
    scope = Scope({}, limits, source, bound=names, offered=frozenset())
    return _expression(scope, names) if expression else _template(scope, names)


def _template(scope: Scope, names: frozenset[str]) -> Compiled:
    tree = parse(scope.source, scope.limits)
    with _problems_of_the_text():
        Check(scope, parse).template(tree)
    return Compiled(tree, scope.found, scope.limits, names)


def _expression(scope: Scope, names: frozenset[str]) -> Compiled:
    checked = Check(scope, parse).expression(_parse_expression(scope.source, scope.limits))
    tree = nodes.Template([nodes.Assign(nodes.Name(_RESULT, "store"), checked, lineno=1)], lineno=1)
    return Compiled(tree, scope.found, scope.limits, names)


def literal_names(source: str) -> frozenset[str]:
    """The texts that a template includes or reads by literal names, as far as it can be parsed."""
    limits = Limits()
    tree = parse(source, limits)
    check_depth(tree, limits)
    includes = (one.template for one in tree.find_all(nodes.Include))
    files = (one.arg for one in tree.find_all(nodes.Getitem) if getattr(one.node, "name", "") == "files")
    named = (one.value for one in (*includes, *files) if isinstance(one, nodes.Const) and isinstance(one.value, str))
    return frozenset(key for key in map(text_key, named) if key is not None)


class Compiled:
    """A checked and compiled template; threads may share it."""

    __slots__ = ("_given", "_limits", "_queries", "_template", "names")

    def __init__(self, tree: nodes.Template, found: Found, limits: Limits, given: frozenset[str]) -> None:
        environment = _environment()
        with _problems_of_the_text():
            self._template = Template.from_code(environment, environment.compile(tree), {})
        self._queries: tuple[NoteQuery, ...] = tuple(found.queries)
        self._limits = limits
        self._given = given
        self.names: Names = found.names()

    def render(self, values: Mapping[str, Any]) -> str:
        """The text with the values; raises RenderProblem."""
        parts, size = [], 0
        try:
            context = self._context(values)
            for part in self._template.root_render_func(context):
                size += len(part)
                context.budget.check_length(size)
                parts.append(part)
        except RenderProblem:
            raise
        except Exception as error:  # whatever a template does with its values, it is the template that fails
            raise RenderProblem(_reason(error)) from None
        return "".join(parts)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value of an expression; None where it works on something that is not there. Raises RenderProblem."""
        try:
            context = self._context(values)
            deque(self._template.root_render_func(context), maxlen=0)  # writes nothing: it is one assignment
            value = context.vars[_RESULT]
            return str(value) if isinstance(value, Undefined) else value
        except RenderProblem:
            raise
        except Exception as error:  # as above
            if self._over_nothing(error):
                return None
            raise RenderProblem(_reason(error)) from None

    def _over_nothing(self, error: Exception) -> bool:
        """Whether an expression failed because what others answered is not there, or is null where a value is needed."""
        foreign = self.names.steps or self.names.notes or "trigger" in self.names.volatile
        nothing = isinstance(error, UndefinedError) or (isinstance(error, TypeError) and "NoneType" in str(error))
        return bool(foreign) and nothing

    def _context(self, values: Mapping[str, Any]) -> _RenderContext:
        given = {name: values[name] for name in self._given if name in values}
        if "steps" in given and self._given is OFFERED:
            given["steps"] = Steps(given["steps"])
        if self._queries:
            given["bus"] = [_note(query, values["bus"]) for query in self._queries]
        return _RenderContext(_environment(), given, self._template, self._limits)


def _note(query: NoteQuery, bus: Mapping[NoteQuery, Any]) -> Any:
    found = bus.get(query)
    if found is None and query.kind == "latest":
        return Absent(f"there is no {query.type} on the bus; write `| default(...)`")
    return [] if found is None else found


def _reason(error: Exception) -> str:
    if isinstance(error, UndefinedError):
        return error.message or "something is not there"
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    return str(error) if isinstance(error, (TypeError, AssertionError)) else f"{type(error).__name__}: {error}"
