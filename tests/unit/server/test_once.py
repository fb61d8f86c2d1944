"""Idempotency keys: done once, told again, in every order of events."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from glink.clock import wait_for
from glink.limits import Limits
from glink.server.once import Once
from glink.server.problem import HttpProblem
from glink.server.route import Reply


class Counted:
    """A deed that counts how often it is done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Reply:
        self.done += 1
        return Reply.json(self.done)


def test_the_same_request_is_answered_once_and_told_again() -> None:
    once, deed = Once(Limits()), Counted()
    assert [once.answer("ana", "k", "d", deed).body for _ in range(3)] == [b"1"] * 3


def test_keys_are_of_a_token() -> None:
    """Two people may hit upon the same key."""
    once, deed = Once(Limits()), Counted()
    assert [once.answer(who, "k", "d", deed).body for who in ("ana", "bob")] == [b"1", b"2"]


def test_another_request_under_the_key_is_refused() -> None:
    once, deed = Once(Limits()), Counted()
    once.answer("ana", "k", "d", deed)
    with pytest.raises(HttpProblem, match="was used for another request"):
        once.answer("ana", "k", "e", deed)
    assert deed.done == 1


def test_a_request_that_failed_may_be_tried_again() -> None:
    once, deed = Once(Limits()), Counted()

    def failing() -> Reply:
        raise HttpProblem(503, "not now")

    with pytest.raises(HttpProblem, match="not now"):
        once.answer("ana", "k", "d", failing)
    assert once.answer("ana", "k", "d", deed).body == b"1"


def test_two_at_once_are_one_and_the_second_waits() -> None:
    """Also when there are many of them."""
    once, deed, go, all_there = Once(Limits()), Counted(), Event(), Barrier(8)

    def slow() -> Reply:
        go.wait(10)
        return deed()

    def ask(_: int) -> bytes:
        all_there.wait(10)
        return bytes(once.answer("ana", "k", "d", slow).body)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        assert wait_for(lambda: all_there.n_waiting == 0, seconds=10)
        go.set()
        assert [one.result(10) for one in asked] == [b"1"] * 8
    assert deed.done == 1


def test_when_the_first_fails_the_one_who_waited_does_it() -> None:
    once, deed, entered, go = Once(Limits()), Counted(), Event(), Event()

    def failing() -> Reply:
        entered.set()
        go.wait(10)
        raise HttpProblem(503, "not now")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.answer, "ana", "k", "d", failing)
        assert entered.wait(10)
        second = pool.submit(once.answer, "ana", "k", "d", deed)
        go.set()
        assert isinstance(first.exception(10), HttpProblem)
        assert second.result(10).body == b"1"


def test_an_answer_is_kept_for_a_day() -> None:
    now = [0.0]
    once, deed = Once(Limits(), now=lambda: now[0]), Counted()
    once.answer("ana", "k", "d", deed)
    now[0] = 86_399.0
    assert once.answer("ana", "k", "d", deed).body == b"1"
    now[0] = 86_400.0
    assert once.answer("ana", "k", "e", deed).body == b"2"


def test_the_oldest_answers_make_room_and_what_is_under_way_stays() -> None:
    once, deed, entered, go = Once(Limits(idempotency_keys=3)), Counted(), Event(), Event()

    def slow() -> Reply:
        entered.set()
        go.wait(10)
        return deed()

    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as again:
        first = pool.submit(once.answer, "ana", "slow", "d", slow)
        assert entered.wait(10)
        for number in range(5):
            once.answer("ana", f"k{number}", "d", deed)
        assert once.answer("ana", "k4", "d", deed).body == b"5"
        assert once.answer("ana", "k0", "d", deed).body == b"6"
        second = again.submit(once.answer, "ana", "slow", "d", deed)
        go.set()
        assert first.result(10).body == second.result(10).body == b"7"
    assert once.answer("ana", "k0", "d", deed).body == b"6"
