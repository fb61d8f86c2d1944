"""`python -m tests.long`: the fault tests, and the one of memory, with numbers that CI has no time for. Prints what was done, seed by seed.

    python -m tests.long                          everything, about an hour on two cores
    python -m tests.long --only crashes cuts      some of it
    python -m tests.long --seed 5 --crashes 100   another order of chance; a failure names its seed and place

What cannot be done here (no root, no such file system) is said and counted, never passed over.
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fault import flips
from tests.fault.crashes import crash_everywhere, fail_everywhere
from tests.fault.days import live_through
from tests.fault.kills import Mortal
from tests.fault.powercut import Image, obstacle
from tests.fault.races import race
from tests.fault.story import CHAPTERS
from tests.long.memory import PROMISED_MIB, Sizes, measure

_LIFE = 250  # cuts of one bus, all of which is read after each
_OTHER_DAYS = 10_000  # seeds that CI does not have
_ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EROFS, errno.EDQUOT, errno.EINTR)


def crashes(options: argparse.Namespace, folder: Path) -> str:
    done, seed = 0, options.seed
    while done < options.crashes:
        done += sum(1 for _ in crash_everywhere(seed, survivors=4, depth=3))
        seed += 1
    return f"{done} simulated crashes, seeds {options.seed}-{seed - 1}, 0 failures"


def faults(options: argparse.Namespace, folder: Path) -> str:
    done = 0
    for chapter in CHAPTERS:
        for number in _ERRORS:
            for lasting in (False, True):
                done += fail_everywhere(chapter, number, lasting=lasting)
    return f"{done} failed calls, {len(_ERRORS)} errors, once and from then on, 0 failures"


def damage(options: argparse.Namespace, folder: Path) -> str:
    done = sum(flips.every_flip(flips.three_batches(folder / f"log{per}", per), per) for per in (1, 2))
    kept = flips.every_checkpoint_flip()
    return f"{done} flipped bits of logs, {kept} flips and truncations of a checkpoint, 0 wrong states"


def cuts(options: argparse.Namespace, folder: Path) -> str:
    said = []
    for kind in options.fs:
        if reason := obstacle(kind):
            said.append(f"SKIPPED {kind}: {reason}")
            continue
        cuts = acknowledged = series = 0
        while cuts < options.cuts:
            with Image(kind, folder, seed=options.seed + series) as image:
                while image.cuts < _LIFE and cuts + image.cuts < options.cuts:
                    image.cut()
                cuts, acknowledged, series = cuts + image.cuts, acknowledged + image.acknowledged, series + 1
        said.append(f"{cuts} power cuts on {kind}, {series} buses, {acknowledged} acknowledged events, 0 lost")
    return "; ".join(said)


def kills(options: argparse.Namespace, folder: Path) -> str:
    mortal = Mortal(folder, seed=options.seed)
    while mortal.kills < options.kills:
        mortal.live_and_die()
    mortal.prove()
    return f"{mortal.kills} SIGKILLs under load, {mortal.settled} settled generations, 0 steps lost or done twice"


def days(options: argparse.Namespace, folder: Path) -> str:
    first = _OTHER_DAYS + options.seed
    acts = live_through(range(first, first + options.days))
    return f"{options.days} random days, seeds {first}-{first + options.days - 1}, {acts} acts, 0 that broke a rule"


def races(options: argparse.Namespace, folder: Path) -> str:
    for _ in range(options.races):
        race(folder / "bus", 8)
    return f"{options.races} races of 8 daemons, one holder each"


def memory(options: argparse.Namespace, folder: Path) -> str:
    found = measure(folder / "promised", Sizes())
    if found.peak > PROMISED_MIB:
        raise AssertionError(f"P8 promises {PROMISED_MIB:.0f} MiB: {found}")
    past = measure(folder / "past", Sizes(alive=False, running=10_000))
    both = measure(folder / "both", Sizes(running=10_000))
    return f"{found}; not promised: 10,000 steps running over a past of as many: {past}; over as many that live: {both}"


PARTS: dict[str, Callable[[argparse.Namespace, Path], str]] = {
    one.__name__: one for one in (damage, faults, crashes, days, races, kills, cuts, memory)
}


def main() -> int:
    """Run the parts; 1 when one fails, with what is needed to see it again."""
    parser = argparse.ArgumentParser(prog="python -m tests.long", description="The fault tests at length.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=int, default=20_000)
    parser.add_argument("--cuts", type=int, default=2_000, help="on each file system")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--fs", nargs="+", default=["ext4", "xfs"])
    options = parser.parse_args()
    failed = 0
    for name in options.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = PARTS[name](options, Path(folder))
            except Exception as error:  # the other parts are worth running all the same
                failed += 1
                traceback.print_exc()
                said = f"FAILED with --seed {options.seed}: {error!r} {' '.join(getattr(error, '__notes__', []))}"
        print(f"{name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
