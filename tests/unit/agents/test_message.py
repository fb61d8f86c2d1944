"""Messages for people: short, in one line, harmless."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glink.agents.message import clipped, printable, with_tail

ANY = st.text(st.characters(), max_size=300)


@given(ANY, st.integers(8, 200))
def test_a_clipped_text_is_printable_and_within_its_limit(text: str, limit: int) -> None:
    """Whatever is in it; and a short printable one is left as it is."""
    found = clipped(text, limit)
    assert found.isprintable()
    assert len(found.encode()) <= limit
    if len(printable(text).encode()) <= limit:
        assert found == printable(text)


@given(ANY, ANY, st.integers(8, 200))
def test_with_a_tail_it_is_too(what: str, said: str, limit: int) -> None:
    """Head and tail together keep the limit, and the beginning of the head is there."""
    found = with_tail(what, said, limit)
    assert found.isprintable()
    assert len(found.encode()) <= limit
    assert found.startswith(printable(what)[:1])


def test_terminal_sequences_are_written_out() -> None:
    """ESC, bell, carriage return, line separators, direction marks, half pairs."""
    assert printable("a\x1b]8;;\x07\r\u2028\u202e\ud800é") == "a\\x1b]8;;\\x07\\r\\u2028\\u202e\\ud800é"


def test_the_end_of_what_was_said_is_kept() -> None:
    """The last words say most."""
    assert with_tail("exit 3", "a" * 100 + "END\n", 20) == "exit 3: …" + "a" * 6 + "END"
    assert with_tail("exit 3", " \n", 20) == "exit 3"
