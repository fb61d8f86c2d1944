"""Whether an attempt was given away since the machine started decides what a folder without a sign of life means."""

from __future__ import annotations

from pathlib import Path

from glink.world import World
from tests.rig import Rig, step, workflow


def life(path: Path, *projects: str) -> dict[int, bool]:
    """An engine starts, sees these projects and ends; of the attempts that it found, which were of this boot."""
    rig = Rig(path)
    rig.conductor.start()
    if projects:
        rig.observe(*(workflow(name, step("1")) for name in projects))
    rig.close()
    return rig.hands.same_boot


def test_an_engine_with_other_things_to_do_does_not_make_earlier_attempts_its_boots(tmp_path: Path) -> None:
    before = Rig(tmp_path / "bus")  # nothing says that it was of this boot
    before.observe(workflow("p", step("1")))
    (earlier,) = before.hands.jobs
    before.close()
    assert life(tmp_path / "bus") == {}
    assert life(tmp_path / "bus", "p", "q") == {earlier: False}
    found = life(tmp_path / "bus", "p", "q")
    assert found.pop(earlier) is False
    assert list(found.values()) == [True]


def test_what_an_older_version_kept_of_the_world_is_read() -> None:
    world = World(boot="b", cooling={"a": 5.0}, boot_seq=7)
    older = {name: value for name, value in world.folded().items() if name != "boot_seq"}
    fresh = World(boot_seq=3)
    fresh.take(older)
    assert (fresh.boot, fresh.cooling, fresh.boot_seq) == ("b", {"a": 5.0}, 0)
