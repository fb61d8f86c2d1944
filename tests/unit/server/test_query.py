"""Query strings: each parameter once, known, and in its range."""

from __future__ import annotations

import pytest

from tests.unit.server.small import Small


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("project=solo", 200),
        ("project=team-a%2Fx", 200),
        ("project=team-a/x", 200),
        ("project=a&project=b", 400),
        ("project=a&project=a", 400),
        ("project=a&%70roject=b", 400),
        ("project", 400),
        ("project=", 400),
        ("Project=a", 400),
        ("nope=1", 400),
        ("&", 400),
        ("project=solo&", 400),
        ("project=%", 400),
        ("project=%zz", 400),
        ("project=%ff", 400),
        ("project=a%00", 400),
        ("project=a%0a", 400),
        ("project=\xe4", 400),
        ("project=a+b", 400),
        ("project=solo;x=1", 400),
        ("&".join(f"a{n}=1" for n in range(10_000)), 400),
    ],
)
def test_a_query_is_read_strictly(small: Small, query: str, status: int) -> None:
    answer = small.ask("GET", f"/status?{query}")
    assert answer.status == status
    if status == 200:
        assert answer.json["query"] == ({"project": answer.json["project"]} if query else {})


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=0", 200), ("since=-1", 400), ("since=1000000000", 400), ("since=abc", 400), ("since=1e3", 400), ("since=01", 400),
        ("since=+1", 400), ("since=%D9%A1", 400), ("since=" + "9" * 5_000, 400), ("since=1_0", 400), ("since=0x7", 400),
        ("limit=0", 400), ("limit=1", 200), ("limit=1000001", 400), ("follow=0", 200), ("follow=yes", 400), ("open=1", 200),
        ("type=note.*", 200), ("type=note.*,run.?ettled", 200), ("type=", 400), ("type=" + ",".join("a" * 11), 400),
        ("type=(a", 400), ("type=[a]", 400), ("agent=coder", 200), ("agent=a%20b", 400),
    ],
)  # fmt: skip
def test_parameters_of_events_have_their_ranges(small: Small, query: str, status: int) -> None:
    """Also what no program would send."""
    assert small.ask("GET", f"/events?{query}").status == status


@pytest.mark.parametrize(
    "last", ["-1", "abc", "", "1,2", "999999999", "9" * 400, "1\u0660".encode("utf-8").decode("latin-1")]
)
def test_a_garbled_last_event_id_is_refused(small: Small, last: str) -> None:
    assert small.ask("GET", "/events", Last_Event_ID=last).status == 400
