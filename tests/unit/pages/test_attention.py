"""Signs and advice cover the closed list of reasons."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from glink.cli.main import VERBS
from glink.pages.attention import WORDS, Sign, Standing, advice_on, sign_of, standing_of
from glink.pages.cards import cards_of
from glink.reconciler.actions import Reason, Status
from glink.report import Condition, Health, Report, Row, Sync
from tests.sites import Site, mixed


def row(reason: str, status: str = "waiting", step: str = "1", **more: object) -> Row:
    return Row(step=step, agent="a", status=status, decision="wait", reason=reason, **more)  # type: ignore[arg-type]


def report(*rows: Row, **more: object) -> Report:
    return Report("p", Sync.OUT_OF_SYNC, Health.DEGRADED, steps=rows, **more)  # type: ignore[arg-type]


def test_every_sign_has_a_word() -> None:
    assert set(WORDS) == set(Sign)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("reason", list(Reason))
def test_whatever_fails_or_waits_for_a_person_comes_with_advice(reason: Reason, status: Status) -> None:
    """No red or orange sign without something to do, for the statuses that the engine gives with a reason."""
    natural = {
        Reason.EXHAUSTED: Status.FAILED, Reason.STALLED: Status.FAILED, Reason.CANCELLED: Status.CANCELLED, Reason.HELD: Status.SUCCEEDED,
        Reason.UNKNOWN_OUTCOME: Status.WAITING_PERSON, Reason.IN_FLIGHT: Status.RUNNING,
    }  # fmt: skip
    one = row(reason, natural.get(reason, Status.WAITING))
    advice = advice_on("p", one)
    assert (advice is not None) == (sign_of(one) in (Sign.FAILED, Sign.PERSON, Sign.CANCELLED))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_command_that_is_advised_is_a_command(reason: Reason) -> None:
    for alone in (True, False):
        advice = advice_on("team-a/x", row(reason, step="two"), alone=alone)
        for command in advice.commands if advice else ():
            program, verb, *_ = shlex.split(command)
            assert program == "glink"
            assert verb in VERBS
            assert "{" not in command


def test_names_in_commands_are_quoted_for_a_shell() -> None:
    advice = advice_on("a b;rm -rf /", row("exhausted", "failed", step="$(reboot)"))
    assert advice is not None
    assert shlex.split(advice.commands[0]) == ["glink", "retry", "a b;rm -rf /", "$(reboot)"]


def test_many_steps_that_failed_alike_are_one_card_that_retries_the_project() -> None:
    rows = [row("exhausted", "failed", str(number), detail="no route") for number in range(3)]
    (card,) = cards_of(report(*rows))
    assert card.steps == ("0", "1", "2")
    assert card.advice is not None
    assert card.advice.commands == ("glink retry p", "glink why p")


def test_other_messages_are_other_cards_and_a_tolerated_failure_is_none() -> None:
    rows = [
        row("exhausted", "failed", "1", detail="x"),
        row("exhausted", "failed", "2", detail="y"),
        row("exhausted", "failed", "3", detail="x", tolerated=True),
    ]
    assert [card.steps for card in cards_of(report(*rows))] == [("1",), ("2",)]


def test_a_project_suspended_by_its_file_is_told_to_edit_it() -> None:
    by_file, by_person = (
        cards_of(report(row("suspended"), conditions=(Condition("Suspended", True, reason, "suspended"),)))
        for reason in ("ByFile", "ByPerson")
    )
    assert "suspend: true" in by_file[0].advice.text  # type: ignore[union-attr]
    assert by_person[0].advice.commands == ("glink resume p",)  # type: ignore[union-attr]
    assert len(by_file) == len(by_person) == 1


def test_the_standing_of_real_projects(tmp_path: Path) -> None:
    site = Site(tmp_path)
    mixed(site)
    assert {one.project: standing_of(one) for one in site.reports()} == {
        "hello-world": Standing.FINE,
        "letter": Standing.WAITS,
        "lonely": Standing.WAITS,
        "nightly": Standing.WAITS,
        "old": Standing.GONE,
        "stopped": Standing.WAITS,
        "team-a/coffee-cards": Standing.BROKEN,
        "typing": Standing.BROKEN,
    }
