"""Reporters at work: rules, groups, tries, counting, and that none holds up another."""

from __future__ import annotations

import importlib.metadata
import io
import socket
import threading
from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from glink.clock import wait_for
from glink.errors import UsageError
from glink.loading.vocabulary import Strict
from glink.plugins import Plugins
from glink.reporters import registry
from glink.reporters.news import News
from glink.reporters.rules import ReporterSpec, Rules
from tests.unit.reporters.desk import LIMITS, House, Knowing, failed, hook, record, setting, settled
from tests.unit.web import Asked, Service, reply, says

SECONDS = 30.0


def types(service: Service) -> list[str]:
    return [one.value["type"] for one in service.asked]


def test_each_reporter_is_told_what_its_rules_choose() -> None:
    """By kind, project and label."""
    outlook = Knowing({"team-a/news": {"team": "a"}, "team-b/news": {"team": "b"}})
    stream = io.StringIO()
    with Service(says(reply(200))) as all_of_it, Service(says(reply(204))) as one_team:
        house = House(
            ReporterSpec("console"),
            hook(all_of_it.url),
            hook(one_team.url, Rules(("run.*",), {"team": "b"}, ("team-*",))),
            given=setting(stream=stream),
            outlook=outlook,
        )
        house.tell(failed(1), settled(2), record("source.observed", 3, None))
        house.tell(settled(4, "succeeded", "team-b/news"))
        assert house.close()[1:] == [(3, 0, 0), (1, 0, 0)]
        assert types(all_of_it) == ["step.failed", "run.failed", "run.succeeded"]
        assert types(one_team) == ["run.succeeded"]
        assert one_team.asked[0].value["data"]["labels"] == {"team": "b"}
    assert stream.getvalue().splitlines() == [
        "08:00:00 team-a/news #3 step 2 failed (transient, x): it broke",
        "08:00:00 team-a/news #3 settled: failed (steps 2)",
        "08:00:00 team-b/news #3 settled: succeeded",
    ]


def test_failed_is_told_after_the_last_try_alone() -> None:
    """The tries before it are `step.retrying`, which nobody is told who did not ask for it."""
    with Service(says(reply(200))) as service:
        house = House(hook(service.url, Rules()), outlook=Knowing(last=frozenset((3,))))
        house.tell(failed(1), failed(2))
        house.tell(failed(3))
        house.close()
        assert [(one["type"], one["timestamp"][-4:]) for one in (asked.value for asked in service.asked)] == [
            ("step.failed", "003Z")
        ]


def test_a_condition_that_was_told_is_not_told_again() -> None:
    """One alert for each."""
    cooling = {"agent": "a", "until": 1.0}
    with Service(says(reply(200))) as service:
        house = House(hook(service.url, Rules()))
        for seq in (1, 2, 3):
            house.tell(record("agent.cooling", seq, None, data=cooling))
        house.close()
        assert types(service) == ["agent.cooling"]


def test_news_of_a_while_are_one_message() -> None:
    """`group` gathers; what is gathered is told at the end, and when there is enough of it."""
    limits = LIMITS._replace(report_group=3)
    with Service(says(reply(200))) as service:
        house = House(hook(service.url, Rules(("*",), group=3_600.0)), given=setting(limits))
        house.tell(*(failed(seq) for seq in range(1, 5)))
        service.heard(1)
        house.tell(settled(5))
        assert house.close() == [(2, 0, 0)]
        first, second = (one.value for one in service.asked)
    assert (first["type"], second["type"]) == ("group", "group")
    assert [one["timestamp"][-2] for one in first["data"]["news"]] == ["1", "2", "3"]
    assert [one["type"] for one in second["data"]["news"]] == ["step.failed", "run.failed"]


def test_a_group_is_told_when_its_time_is_over() -> None:
    """Without anything else happening; one piece of news looks as it does without a group."""
    with Service(says(reply(200))) as service:
        house = House(hook(service.url, Rules(("*",), group=0.01)))
        house.tell(settled(1))
        service.heard(1)
        assert types(service) == ["run.failed"]
        house.close()


def test_a_message_is_tried_again_as_the_same_message() -> None:
    """Three times in all; then it counts as failed, and the next one is told as if nothing had been."""
    answers = says(reply(500), reply(503), reply(200), reply(500), b"", reply(302, Location="http://x/"), reply(200))
    with Service(answers) as service:
        house = House(hook(f"{service.url}/T0/s3cret?key=hunter2"))
        for seq in (1, 2, 3):
            house.tell(settled(seq))
            assert wait_for(lambda seq=seq: sum(_counts(house)) == seq, seconds=SECONDS)
        assert house.close() == [(2, 0, 1)]
        ids = [one.headers["webhook-id"] for one in service.asked]
        place = f"127.0.0.1:{service.port}"
    assert [ids.index(one) for one in ids] == [0, 0, 0, 3, 3, 3, 6]
    assert house.complaints == [f"reporting[0] (webhook): a message did not arrive: {place} answered 302"]


def _counts(house: House) -> tuple[int, int]:
    (tally,) = house.reporters.tally()
    return tally.told, tally.failed


def test_trouble_is_complained_of_once_until_it_is_over() -> None:
    """The counts tell the rest."""
    with Service(says(reply(500))) as service:
        house = House(hook(service.url), given=setting(LIMITS._replace(report_tries=1)))
        house.tell(*(settled(seq) for seq in (1, 2, 3)))
        assert house.close() == [(0, 0, 3)]
    assert len(house.complaints) == 1


def test_a_reporter_that_hangs_holds_up_nobody() -> None:
    """Neither who tells it nor another one; what finds no room is counted."""
    limits = LIMITS._replace(report_queue=5, report_tries=1, report_seconds=SECONDS)
    started, go = threading.Event(), threading.Event()

    def hang(asked: Asked, connection: socket.socket) -> None:
        started.set()
        go.wait(SECONDS)

    with Service(hang) as stuck, Service(says(reply(200))) as lively:
        house = House(hook(stuck.url), hook(lively.url), given=setting(limits))
        house.tell(settled(1))
        assert started.wait(SECONDS)
        for seq in range(2, 10):
            house.tell(settled(seq))
            lively.heard(seq)
        stuck_tally, lively_tally = house.reporters.tally()
        assert (stuck_tally.dropped, stuck_tally.failed, lively_tally.dropped) == (3, 0, 0)
        go.set()
        assert house.close() == [(0, 3, 6), (9, 0, 0)]


def test_a_message_has_its_time() -> None:
    """Then it has not arrived, whatever the other side is at."""
    limits = LIMITS._replace(report_tries=1, report_seconds=0.05)
    with Service(lambda asked, connection: connection.recv(1) and None) as service:
        house = House(hook(f"{service.url}/s3cret"), given=setting(limits))
        house.tell(settled(1))
        assert wait_for(lambda: _counts(house) == (0, 1), seconds=SECONDS)
        house.close()
        place = f"127.0.0.1:{service.port}"
    assert house.complaints == [
        f"reporting[0] (webhook): a message did not arrive: {place} did not answer within 0.05 s"
    ]


def test_a_record_of_the_wrong_shape_ends_nothing() -> None:
    """It is counted."""
    with Service(says(reply(200))) as service:
        house = House(hook(service.url))
        house.tell(record("step.parked", 1, data={}), settled(2))
        assert house.close() == [(1, 1, 0)]


class Options(Strict):
    word: str = "x"


class Theirs:
    """A reporter of another distribution's."""

    usual = ("run.*",)
    tries = 2
    streams = False
    options = Options
    told: list[Any] = []

    @classmethod
    def of(cls, options: Options, setting: object) -> Theirs:  # noqa: ARG003 - every kind has them
        cls.told.append(options.word)
        return cls()

    def report(self, news: Sequence[News]) -> None:
        self.told.append([one.kind for one in news])
        raise RuntimeError("http://hooks.example/?key=hunter2")


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> type[Theirs]:
    points = {
        "glink.reporters": [EntryPoint(name, f"{__name__}:Theirs", "glink.reporters") for name in ("pager", "console")]
    }
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: EntryPoints(points[group]))
    monkeypatch.setattr(registry, "_KINDS", Plugins("glink.reporters", registry._KINDS._built_in))
    monkeypatch.setattr(Theirs, "told", [])
    return Theirs


def test_other_distributions_add_kinds(theirs: type[Theirs]) -> None:
    """They cannot take the place of a built-in one, and the text of their errors is not shown."""
    assert registry.kinds() == ("console", "feishu", "pager", "webhook")
    stream = io.StringIO()
    house = House(ReporterSpec("pager", {"word": "y"}), ReporterSpec("console"), given=setting(stream=stream))
    house.tell(settled(1))
    assert house.close() == [(0, 0, 1), (1, 0, 0)]
    assert theirs.told == ["y", ["run.failed"], ["run.failed"]]
    assert house.complaints == ["reporting[0] (pager): a message did not arrive: RuntimeError"]


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        ({"url_env": "HOOK"}, {}, "the variable HOOK is not set"),
        ({"url_env": "HOOK"}, {"HOOK": "hunter2"}, "the variable HOOK is not an address; write http://HOST/PATH or https://HOST/PATH"),
        ({"url": "http://x/", "secret_env": "KEY"}, {}, "the variable KEY is not set"),
        ({"url": "http://x/", "secret_env": "KEY"}, {"KEY": "whsec_hunter2!"}, "the variable KEY is no secret; write whsec_ and the base64 of 24 random bytes or more"),
        ({"url": "http://x/", "secret_env": "KEY"}, {"KEY": "whsec_"}, "the variable KEY is no secret; write whsec_ and the base64 of 24 random bytes or more"),
    ],
)  # fmt: skip
def test_a_reporter_that_cannot_work_is_refused_at_the_start(
    options: dict[str, str], environ: dict[str, str], said: str
) -> None:
    """Before the engine takes anything up; no value is shown."""
    with pytest.raises(UsageError) as caught:
        registry.posts([ReporterSpec("webhook", options)], setting(**environ), print)
    assert str(caught.value) == f"reporting[0] (webhook): {said}"
