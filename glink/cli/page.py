"""`glink page`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, configured
from glink.cli.speech import say, show
from glink.pages.files import whole_site, write_files
from glink.pages.past import Pasts
from glink.pages.prompts import Prompts
from glink.reconciler.survey import survey
from glink.view import View


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder; made where it is missing.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the status page as files: for any web server, or to open from the disk.

    Example: glink page --out public
    """
    settings = configured(config)
    view, limits = View.take(settings), settings.limits
    now, past = view.clock.now(), view.past
    reports = [survey(view.desks[name], now) for name in sorted(view.desks)]
    earlier = past.replay(max(0, view.seq - limits.page_records, view.readable)) if past is not None else ()
    prompts = Prompts(past.read if past is not None else lambda seq: None, view.bodies, limits)
    files = whole_site(
        reports, Pasts.of(earlier, limits), now=now, limits=limits, prompts=prompts, revision=view.revision
    )
    written = write_files(out, files)
    if json:
        show({"out": str(out.absolute()), "files": written})
    else:
        say(f"{len(reports)} projects: {out / 'index.html'}")
