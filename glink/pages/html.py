"""The status page as UTF-8 text: models through the packaged templates. The one place where HTML is made.

Every value that is printed is escaped twice over: control, bidirectional and other invisible characters are shown, and
HTML is quoted. Nothing that an agent wrote is a template, a link, an attribute's name or a style. Called by the HTTP
handlers, by `files` and by `glink graph`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from glink import __version__
from glink.clock import text_of
from glink.limits import Limits
from glink.pages import shown
from glink.pages.attention import WORDS
from glink.pages.cards import caret
from glink.pages.links import Links
from glink.pages.overview import overview
from glink.pages.past import Past, Pasts
from glink.pages.picture import picture
from glink.pages.project import project
from glink.pages.prompts import Prompt
from glink.report import Report, Row
from glink.words import escaped_block

CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def asset(name: str) -> tuple[bytes, str] | None:
    """A packaged file and its content type; None for every other name. Nothing is looked up on the disk by name."""
    return _assets().get(name)


def asset_names() -> tuple[str, ...]:
    """All names that `asset` knows."""
    return tuple(_assets())


def overview_page(
    reports: Sequence[Report], pasts: Pasts, *, now: float, limits: Limits, served: bool, revision: str = ""
) -> bytes:
    """The page with all projects; `now` in seconds since 1970, `revision` that of the files."""
    model = overview(reports, pasts, cards=limits.page_cards)
    return _render("overview.html", Links.of_overview(served=served), now, pasts.seq, page=model, revision=revision)


def project_page(
    report: Report, past: Past, *, now: float, limits: Limits, served: bool, seq: int, prompts: Mapping[int, Prompt]
) -> bytes:
    """One project's page. `prompts` by fence (see `project.fences_to_show`); `seq` is the newest record it is made from."""
    model = project(report, past, now=now, prompts=prompts, cards=limits.page_cards)
    return _render("project.html", Links.of_project(report.project, served=served), now, seq, page=model)


def svg(rows: Sequence[Row]) -> str:
    """The graph alone, as a file that needs nothing beside it."""
    return _bytes_of("alone.svg", picture=picture(rows), css=Markup(_text("graph.css"))).decode()  # noqa: S704 - packaged


def _render(template: str, links: Links, now: float, seq: int, **values: Any) -> bytes:
    return _bytes_of(template, links=links, at=text_of(now), seq=seq, **values)


def _bytes_of(template: str, **values: Any) -> bytes:
    """Piece by piece: `Template.render` would hold all of a page's pieces at once, 300,000 of them for 10,000 steps."""
    page = BytesIO()
    for piece in _templates().get_template(template).generate(**values):
        page.write(piece.encode())
    return page.getvalue()


@cache
def _text(name: str) -> str:
    return files("glink.templates").joinpath("site", name).read_text(encoding="utf-8")


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    texts = {
        "site.css": _text("site.css") + _text("graph.css"),
        "site.js": _text("site.js"),
        "icon.svg": _text("icon.svg"),
    }
    return {name: (text.encode(), _TYPES[name.rpartition(".")[2]]) for name, text in texts.items()}


@cache
def _templates() -> Environment:
    pages = ("base.html", "overview.html", "project.html", "parts.html", "graph.html", "drawing.html", "signs.html")
    made = Environment(
        loader=DictLoader({name: _text(name) for name in (*pages, "alone.svg")}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[],
    )
    made.filters |= {"moment": shown.moment, "revision": shown.revision, "caret": caret}
    made.globals = {"count": shown.count, "csp": CSP, "version": __version__, "words": WORDS}
    return made


def _visible(value: Any) -> Any:
    """What is printed by any expression of a template: text with nothing in it that a reader cannot see."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else escaped_block(value)
