"""Pictures of graphs: what is drawn, where, and that the same is drawn every time."""

from __future__ import annotations

import random
import re
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glink.limits import Limits
from glink.pages import layering
from glink.pages.diagrams import dot, mermaid
from glink.pages.fitting import fitted
from glink.pages.html import svg
from glink.pages.layering import lay_out
from glink.pages.layouts import prepare
from glink.pages.picture import picture, sizes_of
from glink.pages.sketch import BUNDLE, EDGES, WORK, sketch
from glink.report import Row
from tests.sites import SHAPE

SHAPED = {str(step): tuple(map(str, after)) for step, after in SHAPE.items()}


def row(step: str, after: tuple[str, ...] = (), **more: object) -> Row:
    given = {"agent": "a", "status": "succeeded", "decision": "stay", "reason": "up_to_date", "task": "do"} | more
    return Row(step=step, after=after, **given)  # type: ignore[arg-type]


def rows(after: dict[str, tuple[str, ...]]) -> list[Row]:
    return [row(step, parents) for step, parents in after.items()]


def wide(count: int) -> dict[str, tuple[str, ...]]:
    middle = {f"m{number}": ("first",) for number in range(count)}
    return {"first": (), **middle, "last": tuple(middle)}


def test_steps_with_the_same_neighbours_are_one_bundle_from_nine_on() -> None:
    assert len(sketch(wide(BUNDLE - 1)).nodes) == BUNDLE + 1
    bundled = sketch(wide(BUNDLE))
    assert [len(group) for group in bundled.nodes] == [1, BUNDLE, 1]
    assert bundled.edges == ((0, 1), (1, 2))


def test_a_bundle_shows_every_step_and_the_worst_of_their_signs() -> None:
    many = [row("first"), *(row(f"m{number}", ("first",)) for number in range(40))]
    many[7] = row("m6", ("first",), status="failed", reason="exhausted")
    bundle = picture(many).nodes[1]
    assert len(bundle.cells) == 40
    assert bundle.sign == "failed"
    assert "1 failed, 39 done" in bundle.label


def test_every_node_and_edge_is_drawn_inside_the_picture_and_no_two_nodes_overlap() -> None:
    drawn = picture(rows(SHAPED))
    assert len(drawn.nodes) == 30
    assert len(drawn.lines) == sum(map(len, SHAPED.values()))
    for one in drawn.nodes:
        assert 0 <= one.x <= drawn.width - one.width
        assert 0 <= one.y <= drawn.height - one.height
        others = [other for other in drawn.nodes if other is not one]
        assert not any(abs(one.x - other.x) < one.width and abs(one.y - other.y) < one.height for other in others)


def test_no_edge_touches_a_node_that_it_does_not_belong_to() -> None:
    drawn = picture(rows(SHAPED))
    edges = sketch(SHAPED).edges
    for line, (source, target) in zip(drawn.lines, edges, strict=True):
        points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", line.path)]
        others = [node for index, node in enumerate(drawn.nodes) if index not in (source, target)]
        for (x1, y1), (x2, y2) in pairwise(points):
            left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
            assert not [
                node.step
                for node in others
                if left < node.x + node.width + 4
                and right > node.x - 4
                and top < node.y + node.height + 4
                and bottom > node.y - 4
            ]


def test_what_comes_after_lies_to_the_right() -> None:
    drawn = {node.step: node for node in picture(rows(SHAPED)).nodes}
    assert all(drawn[before].x < drawn[step].x for step, after in SHAPED.items() for before in after)


def test_without_a_wheel_our_own_layout_keeps_the_same_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphlay", None)
    layering._light.cache_clear()
    try:
        test_every_node_and_edge_is_drawn_inside_the_picture_and_no_two_nodes_overlap()
        test_what_comes_after_lies_to_the_right()
    finally:
        layering._light.cache_clear()


def test_a_layout_that_is_refused_is_made_by_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = {"limits": {"max_nodes": 5}}
    monkeypatch.setattr(layering, "_OPTIONS", layering._OPTIONS | refusal)
    layering._light.cache_clear()
    try:
        test_every_node_and_edge_is_drawn_inside_the_picture_and_no_two_nodes_overlap()
    finally:
        layering._light.cache_clear()


def test_the_same_graph_is_laid_out_once() -> None:
    layering._light.cache_clear()
    picture(rows(SHAPED))
    picture([row(step, after, status="failed", reason="exhausted") for step, after in SHAPED.items()])
    assert layering._light.cache_info().misses == 1


def test_edges_that_follow_from_others_are_left_out_where_there_are_too_many() -> None:
    everything = {str(number): tuple(map(str, range(number))) for number in range(120)}
    thinned = sketch(everything)
    assert list(thinned.edges) == list(pairwise(range(120)))
    assert thinned.left_out == 120 * 119 // 2 - 119
    assert thinned.work <= WORK


def test_a_dense_graph_has_a_bounded_picture() -> None:
    """Two hundred steps, each after a different half of another two hundred."""
    chance = random.Random(7)
    upper = {f"u{number}": () for number in range(200)}
    lower = {f"l{number}": tuple(f"u{other}" for other in range(200) if chance.random() < 0.5) for number in range(200)}
    drawn = picture(rows(upper | lower))
    assert len(drawn.lines) <= EDGES
    assert drawn.left_out > 0


def test_a_thousand_steps_of_any_common_shape_are_laid_out() -> None:
    chain = {str(number): (str(number - 1),) if number else () for number in range(1000)}
    ladder = {str(number): (str(number - 10),) if number >= 10 else () for number in range(1000)}
    for shape in (chain, wide(998), ladder):
        assert sum(max(len(node.cells), 1) for node in picture(rows(shape)).nodes) == 1000


GRAPHS = st.lists(st.sets(st.integers(0, 30), max_size=4), min_size=1, max_size=30).map(
    lambda chosen: {
        str(step): tuple(str(one) for one in sorted(after) if one < step) for step, after in enumerate(chosen)
    }
)


@given(GRAPHS)
def test_a_sketch_holds_every_step_once_and_its_edges_go_forward(after: dict[str, tuple[str, ...]]) -> None:
    drawn = sketch(after)
    assert sorted(step for group in drawn.nodes for step in group) == sorted(after)
    assert all(drawn.layers[source] < drawn.layers[target] for source, target in drawn.edges)
    node_of = {step: index for index, group in enumerate(drawn.nodes) for step in group}
    assert set(drawn.edges) == {(node_of[one], node_of[step]) for step, parents in after.items() for one in parents}
    assert lay_out(drawn, tuple((100.0, 40.0) for _ in drawn.nodes)).width > 0


LARGE = {str(number): (str(number - 3), str(number - 7)) if number > 7 else () for number in range(300)}


def test_a_large_graph_is_laid_out_by_a_process_of_its_own_and_kept() -> None:
    """Until then our own layout stands in; graphlay never holds this process."""
    layering._kept.clear()
    many = rows(LARGE)
    before = picture(many)
    prepare(many, Limits())
    after = picture(many)
    assert before.width != after.width
    drawn = sketch(LARGE)
    assert (after.width, after.height) == (layering.by_graphlay(drawn, sizes_of(drawn)).width, after.height)  # type: ignore[union-attr]
    assert len(after.lines) == sum(map(len, LARGE.values()))


def test_a_process_that_takes_too_long_leaves_our_own_layout_and_is_not_asked_again() -> None:
    layering._kept.clear()
    many = rows(LARGE)
    plain = picture(many)
    prepare(many, Limits(page_layout=0.000_001))
    prepare(many, Limits())
    assert picture(many) == plain


def test_few_layouts_are_kept() -> None:
    layering._kept.clear()
    for number in range(layering.KEPT + 9):
        one = sketch({str(step): () for step in range(number + 1)})
        layering.keep(one, (), layering.Laid(1, 1, (), ()))
    assert len(layering._kept) == layering.KEPT
    layering._kept.clear()


def test_a_text_is_cut_to_its_width_with_an_ellipsis() -> None:
    assert fitted("Say hello", 200, 12) == "Say hello"
    cut = fitted("Search coffee shops in Shanghai", 120, 12)
    assert cut.endswith("…")
    assert "Search coffee" in cut
    assert len(fitted("上海的咖啡馆在哪里呢请告诉我", 60, 12)) < len(fitted("lililililililililili", 60, 12))
    assert fitted("first\nsecond", 200, 12) == "first"


def test_the_picture_alone_is_well_formed_and_carries_its_own_style() -> None:
    root = ET.fromstring(svg(rows(SHAPED)))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in "".join(root.itertext())
    assert not [one for one in root.iter() if one.tag.endswith("}a")]


HOSTILE = row("1", name='</text><script>alert(1)</script> "q" `b` ]]> --> %% \x1b[31m', agent="a&b")


def test_hostile_names_stay_text_in_every_language() -> None:
    """Well-formed, one node, and nothing that ends the label."""
    root = ET.fromstring(svg([HOSTILE]))
    assert not [one for one in root.iter() if "script" in one.tag]
    line = mermaid([HOSTILE]).splitlines()[1]
    assert line.count('"') == 2
    assert not set(line.split('"')[1]) & set("<>&`[]{}|%\x1b")
    assert '\\"q\\"' in dot([HOSTILE])
    assert "\x1b" not in dot([HOSTILE])


def test_mermaid_and_dot_mark_implied_edges() -> None:
    three = [row("1"), row("2", ("1",), implied=True), row("3", ("1",))]
    assert "  n0 -.-> n1" in mermaid(three).splitlines()
    assert "  n0 --> n2" in mermaid(three).splitlines()
    assert '  "1" -> "2" [style=dashed];' in dot(three).splitlines()
    assert '  "1" -> "3";' in dot(three).splitlines()
