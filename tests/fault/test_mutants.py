"""Negative control: each bug that is put in on purpose is found by the check that is there for it."""

import pytest

from tests.fault.mutants import CHECKS, MUTANTS


@pytest.mark.parametrize(("mutate", "check"), MUTANTS, ids=[one[0].__name__ for one in MUTANTS])
def test_no_mutant_survives(mutate, check, tmp_path, monkeypatch):
    """The check fails, by a broken promise or by an error that nobody should see."""
    mutate(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017 whatever it is, it is noticed
        check(tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=[one.__name__ for one in CHECKS])
def test_without_a_mutant_the_checks_pass(check, tmp_path):
    """The others, crashes and faults, are tests of their own."""
    check(tmp_path)
