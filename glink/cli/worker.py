"""`glink worker`."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, ServerOption, TokenFileOption, configured
from glink.cli.speech import say, show
from glink.errors import UsageError


def command(
    program: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command; the task is its stdin.")],
    agent: Annotated[str, typer.Option("--agent", "-a", help="The agent whose steps it does.")],
    slots: Annotated[int, typer.Option("--slots", "-n", min=1, max=1000, help="How many at once.")] = 1,
    name: Annotated[str | None, typer.Option("--name", help="Who it is; default: machine and process.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is offered any more.")] = False,
    config: ConfigOption = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    json: JsonOption = False,
) -> int:
    """Do the steps of a `pull` agent: claim them from a server, run a command for each, bring the answers back.

    Example: glink worker --server http://127.0.0.1:8426 --agent coder --slots 2 -- my-coder --stdin
    """
    from glink.cli.source import local_server
    from glink.remote import Remote
    from glink.worker import Worker, default_name

    settings = configured(config)
    url = server or os.environ.get("GLINK_SERVER") or local_server(settings)
    if url is None:
        raise UsageError("no server: write --server http://HOST:PORT, or start one here with `glink up`")
    remote = Remote.of(settings, url, token_file)
    tell = (lambda text: None) if json else say
    worker = Worker(remote, agent, program, slots=slots, name=name or default_name(), say=tell, limits=settings.limits)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    signal.signal(signal.SIGINT, lambda number, frame: worker.stop())
    worker.run(once=once)
    if json:
        show({"succeeded": worker.done, "failed": worker.failed})
    return 1 if worker.failed and once else 0
