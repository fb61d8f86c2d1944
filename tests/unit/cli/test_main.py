"""The way in and the way out."""

from __future__ import annotations

import sys

import pytest

from glink.__main__ import main


class Interrupted:
    """Stands where a module is that is still being imported when Ctrl-C comes."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_an_interrupt_while_it_starts_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130, as for one that comes later."""
    monkeypatch.setitem(sys.modules, "glink.cli.main", Interrupted())  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["glink", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
