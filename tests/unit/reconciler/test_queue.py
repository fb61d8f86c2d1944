"""Who waits for a slot is asked in turn."""

from __future__ import annotations

from glink.reconciler.queue import Queue


def test_each_is_asked_once_while_something_is_free_and_then_stands_at_the_end() -> None:
    queue, asked, free = Queue(), [], [True, True, False]
    for name in "abcd":
        queue.set(name, waits=True)
    queue.offer(asked.append, lambda: free.pop(0), but=())
    assert asked == ["a", "b"]
    queue.offer(asked.append, lambda: True, but=())
    assert asked == [*"ab", *"cdab"]


def test_who_is_to_be_passed_over_or_waits_no_more_is_not_asked() -> None:
    queue, asked = Queue(), []
    for name in "abc":
        queue.set(name, waits=True)

    def ask(name: str) -> None:
        asked.append(name)
        queue.set(name, waits=False)

    queue.offer(ask, lambda: True, but={"b"})
    queue.offer(ask, lambda: True, but=())
    queue.offer(ask, lambda: True, but=())
    assert asked == ["a", "c", "b"]
