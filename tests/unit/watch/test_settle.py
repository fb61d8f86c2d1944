"""Settling, with a plain number as clock."""

from __future__ import annotations

import random

import pytest

from glink.limits import Limits
from glink.watch.settle import Kind, Look, Settler

LIMITS = Limits()
LOCK, OTHER_LOCK = (7, 1), (8, 2)


def settler() -> Settler:
    return Settler(LIMITS, 0.0)


@pytest.mark.parametrize("kind", [Kind.REPLACED, Kind.CLOSED])
def test_a_complete_file_is_looked_at_at_once(kind: Kind) -> None:
    """A replace and a closed write are due at the moment they are heard."""
    one = settler()
    one.heard(kind, "a.yaml", 5.0)
    assert one.due(5.0, lock=None) == 5.0
    look = one.take(5.0)
    assert look == Look(heard={"a.yaml": kind}, quiet=False)


def test_other_events_wait_until_nothing_was_heard_for_the_quiet_time() -> None:
    """Each event that says nothing of completeness puts the look off again."""
    one = settler()
    one.heard(Kind.CHANGED, "a", 1.0)
    assert one.due(1.0, lock=None) == pytest.approx(1.1)
    one.heard(Kind.CHANGED, "b", 1.05)
    due = one.due(1.06, lock=None)
    assert due == pytest.approx(1.15)
    assert one.take(due).quiet


def test_steady_events_delay_a_look_by_the_storm_limit_at_most() -> None:
    """Whoever never stops is looked at after `limits.storm`, and what is found then counts."""
    one = settler()
    now = 1.0
    one.heard(Kind.CHANGED, "a", now)
    while one.due(now, lock=None) > now:
        now += 0.0625
        one.heard(Kind.CHANGED, "a", now)
    assert now == 1.0 + LIMITS.storm
    assert one.take(now).quiet


def test_a_storm_of_complete_files_is_one_look_when_it_has_passed() -> None:
    """More than `limits.storm_events` within the quiet time are waited out, whole files though they are."""
    one = settler()
    for number in range(LIMITS.storm_events + 1):
        one.heard(Kind.REPLACED, f"{number}", 1.0 + number * 0.001)
    last = 1.0 + LIMITS.storm_events * 0.001
    assert one.due(last, lock=None) == pytest.approx(last + LIMITS.quiet)
    look = one.take(last + LIMITS.quiet)
    assert look.quiet
    assert len(look.heard) == LIMITS.storm_events + 1


def test_one_event_less_is_no_storm() -> None:
    """The limit itself is still looked at at once."""
    one = settler()
    for number in range(LIMITS.storm_events):
        one.heard(Kind.REPLACED, f"{number}", 1.0)
    assert one.due(1.0, lock=None) == 1.0


def test_the_same_events_over_a_longer_time_are_no_storm() -> None:
    """It is the pace that makes a storm, not the number."""
    one = settler()
    for number in range(3 * LIMITS.storm_events):
        one.heard(Kind.REPLACED, f"{number}", 1.0 + number * 0.01)
    end = 1.0 + (3 * LIMITS.storm_events - 1) * 0.01
    assert one.due(end, lock=None) <= end


def test_the_last_word_about_a_path_is_the_one_that_counts() -> None:
    """A file that is deleted or made anew after it was complete is not complete any more."""
    one = settler()
    one.heard(Kind.CLOSED, "a.yaml", 1.0)
    one.heard(Kind.CHANGED, "a.yaml", 1.0)
    assert one.take(1.0).heard == {"a.yaml": Kind.CHANGED}


def test_nothing_heard_means_the_regular_rescan_alone() -> None:
    """The one thing that ever wakes an idle source is the rescan, every `limits.rescan`."""
    one = settler()
    assert one.due(0.0, lock=None) == LIMITS.rescan
    assert one.take(LIMITS.rescan) == Look(rescan=True)
    assert one.due(LIMITS.rescan, lock=None) == 2 * LIMITS.rescan


def test_looks_for_other_reasons_do_not_put_the_rescan_off() -> None:
    """Saves every second leave the rescan where it was."""
    one = settler()
    for second in range(1, 30):
        one.heard(Kind.CLOSED, "a", second)
        assert not one.take(second).rescan
    assert one.due(29.5, lock=None) == LIMITS.rescan


def test_a_request_is_due_at_once_and_says_so() -> None:
    """Whoever asks is answered also when nothing has changed."""
    one = settler()
    one.ask()
    assert one.due(3.0, lock=None) == 3.0
    assert one.take(3.0).asked
    assert not one.take(4.0).asked


def test_the_earliest_repetition_wins() -> None:
    """What is missing, unfinished or failed is looked at again at the earliest time anybody named."""
    one = settler()
    one.again(9.0)
    one.again(7.0)
    one.again(8.0)
    assert one.due(1.0, lock=None) == 7.0
    one.take(7.0)
    assert one.due(7.0, lock=None) == LIMITS.rescan


def test_nothing_is_looked_at_while_git_holds_its_index_lock() -> None:
    """The lock is asked for again every quiet time, and the look is due once it is gone."""
    one = settler()
    one.heard(Kind.REPLACED, "a", 1.0)
    assert one.due(1.0, lock=LOCK) == pytest.approx(1.1)
    assert one.due(1.1, lock=LOCK) == pytest.approx(1.2)
    assert one.due(1.2, lock=None) <= 1.2


def test_a_lock_left_behind_is_waited_for_once_and_for_ten_seconds_at_most() -> None:
    """A stale index.lock delays one look by `limits.git_lock`, later looks not at all."""
    one = settler()
    one.heard(Kind.REPLACED, "a", 1.0)
    now = 1.0
    while (due := one.due(now, lock=LOCK)) > now:
        now = due
    assert now == pytest.approx(1.0 + LIMITS.git_lock)
    one.take(now)
    one.heard(Kind.REPLACED, "a", 20.0)
    assert one.due(20.0, lock=LOCK) == 20.0


def test_another_lock_after_a_stale_one_is_waited_for() -> None:
    """Stale is that one lock, not locking as such."""
    one = settler()
    one.heard(Kind.REPLACED, "a", 1.0)
    now = 1.0
    while (due := one.due(now, lock=LOCK)) > now:
        now = due
    assert one.due(now, lock=OTHER_LOCK) > now


def test_an_idle_source_does_not_ask_for_the_lock_over_and_over() -> None:
    """A held lock changes nothing while no look is due."""
    assert settler().due(1.0, lock=LOCK) == LIMITS.rescan


def test_a_folder_speaks_for_all_that_came_with_it() -> None:
    """A folder that was moved here makes every file in it complete."""
    look = Look(heard={"team/news": Kind.REPLACED, "team/news/a.md": Kind.CHANGED})
    assert look.kind_of("team/news/workflow.yaml") is Kind.REPLACED
    assert look.kind_of("team/news/a.md") is Kind.CHANGED
    assert look.kind_of("team/newsletter.yaml") is None
    assert look.kind_of("team") is None


def test_every_event_is_in_exactly_one_look_within_the_longest_delay() -> None:
    """Whatever is heard, and whenever: nothing is dropped, nothing waits longer than lock and storm allow."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(200):
        one, now, waiting, seen = settler(), 0.0, {}, set()
        for number in range(chance.randrange(1, 150)):
            now += chance.choice([0.0, 0.001, 0.01, 0.09, 0.2])
            locked = LOCK if chance.random() < 0.3 else None
            if one.due(now, lock=locked) <= now:
                taken = set(one.take(now).heard)
                assert taken == waiting.keys(), f"seed {seed}"
                assert all(now - waiting[path] <= LIMITS.git_lock + LIMITS.storm for path in taken), f"seed {seed}"
                seen |= taken
                waiting = {}
            one.heard(chance.choice(list(Kind)), str(number), now)
            waiting[str(number)] = now
        while waiting:
            now = max(now, one.due(now, lock=None))
            seen |= set(one.take(now).heard)
            waiting = {path: at for path, at in waiting.items() if path not in seen}
        assert len(seen) == number + 1, f"seed {seed}"
