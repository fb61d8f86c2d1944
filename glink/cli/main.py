"""The command line's table of verbs, and the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glink.cli.speech import complain
from glink.errors import GlinkError, UsageError

if TYPE_CHECKING:
    import typer

VERBS = (
    "up",
    "run",
    "sync",
    "status",
    "plan",
    "why",
    "output",
    "logs",
    "events",
    "graph",
    "page",
    "validate",
    "release",
    "retry",
    "cancel",
    "suspend",
    "resume",
    "delete",
    "worker",
    "schema",
    "fsck",
    "repair",
    "backup",
    "restore",
    "gc",
    "redact",
)


def application(verbs: Sequence[str] = VERBS) -> typer.Typer:
    """The typer application with these verbs; each is a module of its own."""
    import typer

    app = typer.Typer(
        name="glink",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="GitOps for agent teams: commit a workflow, Glink makes it true.\n\n`glink --version` prints the version.",
    )
    for verb in verbs:
        app.command(name=verb)(_command(verb))
    if len(verbs) == 1:
        app.callback()(lambda: None)
    return app


def _command(verb: str) -> Callable[..., Any]:
    command: Callable[..., Any] = import_module(f"glink.cli.{verb}").command
    return command


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code (see `glink.errors` for what each means)."""
    as_json = "--json" in arguments
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        return _done(list(arguments))
    except GlinkError as error:
        complain(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough; python must not complain about it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"glink: {error}", file=sys.stderr)
        return 74
    except Exception as error:  # the last place: a bug must say so, with what we need to mend it
        return _unexpected(error, as_json=as_json)


def _done(arguments: list[str]) -> int:
    if arguments[:1] == ["plan"]:
        from glink.cli import unchanged

        if (told := unchanged.plan(arguments[1:], os.environ, Path.cwd())) is not None:
            return told
    verb = next((one for one in arguments if not one.startswith("-")), "")
    code = application((verb,) if verb in VERBS else VERBS)(arguments, standalone_mode=False)
    return code if isinstance(code, int) else 0


def _unexpected(error: Exception, *, as_json: bool) -> int:
    if type(error).__module__.startswith(("typer", "click")) and hasattr(error, "exit_code"):
        message = error.format_message() if hasattr(error, "format_message") else ""
        if message.startswith("Usage:"):
            print(message)  # nothing was asked for: the help is the answer
        elif message:
            complain(UsageError(message if as_json else f"{message}\nSee `glink --help`."), as_json=as_json)
        return int(error.exit_code)
    import traceback

    traceback.print_exc()
    print("glink: this is a bug; please report it with the lines above", file=sys.stderr)
    return 70
