"""`glink page`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from glink.app import View
from glink.cli.shell import ConfigOption, JsonOption, configured, say, show
from glink.limits import Limits
from glink.reconciler.survey import survey
from glink.report import Report
from glink.server.files import whole_site, write_files
from glink.server.past import Pasts
from glink.server.project import fences_to_show
from glink.server.prompts import Prompt, prompt_of


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder; made where it is missing.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the status page as files: for any web server, or to open from the disk.

    Example: glink page --out public
    """
    settings = configured(config)
    view = View.take(settings)
    now = view.clock.now()
    reports = [survey(view.desks[name], now) for name in sorted(view.desks)]
    pasts, prompts = _past(view, reports, settings.limits)

    def given(fences: Sequence[int]) -> Mapping[int, Prompt]:
        return {fence: prompts[fence] for fence in fences if fence in prompts}

    revision = view.observation.revision
    files = whole_site(reports, pasts, now=now, limits=settings.limits, prompts=given, revision=revision)
    written = write_files(out, files)
    if json:
        show({"out": str(out.absolute()), "files": written})
    else:
        say(f"{len(reports)} projects: {out / 'index.html'}")


def _past(view: View, reports: Sequence[Report], limits: Limits) -> tuple[Pasts, dict[int, Prompt]]:
    """What the newest records say, and the prompts among them that the pages show, in one reading."""
    pasts, prompts = Pasts(limits), dict[int, Prompt]()
    if view.reader is None:
        return pasts, prompts
    wanted = {fence for report in reports for fence in fences_to_show(report, limits.page_prompts)}
    for record in view.reader.replay(max(0, view.seq - limits.page_records)):
        pasts.take((record,))
        if record["seq"] in wanted and (found := prompt_of(record, view.reader.blobs.get, limits)) is not None:
            prompts[record["seq"]] = found
    return pasts, prompts
