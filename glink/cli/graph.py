"""`glink graph`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from glink.cli.shell import ConfigOption, JsonOption, Project, configured
from glink.cli.speech import show
from glink.errors import NoState
from glink.limits import Limits
from glink.reconciler.survey import survey
from glink.report import Row
from glink.view import View


class Format(StrEnum):
    """The languages that a graph is printed in."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


def command(
    project: Project,
    format: Annotated[Format, typer.Option("--format", "-f", help="The language.")] = Format.MERMAID,  # noqa: A002
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Print the graph of a project, every step with its state: Mermaid for Markdown, DOT for Graphviz, SVG to look at.

    Example: glink graph release-notes --format svg > graph.svg
    """
    settings = configured(config)
    view = View.take(settings, [project])
    rows = survey(view.desks[project], view.clock.now()).steps
    if not rows:
        raise NoState(f"{project} has no valid workflow yet; see `glink status {project}`")
    if json:
        show({"project": project, **_data(rows)})
    else:
        sys.stdout.write(_text(rows, format, settings.limits))


def _text(rows: tuple[Row, ...], wanted: Format, limits: Limits) -> str:
    from glink.pages import diagrams, html
    from glink.pages.layouts import prepare

    if wanted is Format.SVG:
        prepare(rows, limits)
    return {Format.MERMAID: diagrams.mermaid, Format.DOT: diagrams.dot, Format.SVG: html.svg}[wanted](rows)


def _data(rows: tuple[Row, ...]) -> dict[str, object]:
    from glink.pages.picture import edges_of

    return {
        "steps": [{"step": row.step, "agent": row.agent, "name": row.name, "status": row.status} for row in rows],
        "edges": [{"from": one, "to": other, "implied": implied} for (one, other), implied in edges_of(rows).items()],
    }
