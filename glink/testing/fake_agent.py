"""An agent that behaves as badly as it is told to: `python -m glink.testing.fake_agent --say hello --exit 3`.

For tests of agents' kinds, and for rehearsing a workflow against agents that fail. The order of what it does is the
order of its options in `--help`, top to bottom. It needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

_BLOCK = b"x" * 65_536


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say; returns the exit code."""
    wish = _parser().parse_args(arguments)
    if wish.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if wish.record_environment:
        names = "".join(f"{name}={value}\n" for name, value in sorted(os.environ.items()))
        Path(wish.record_environment).write_text(names, encoding="utf-8", errors="surrogateescape")
    if wish.child:
        _start_child(wish)
    if wish.close:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
    _write_all(wish)
    if wish.touch:
        Path(wish.touch).touch()
    if wish.wait_for:
        _wait_for(Path(wish.wait_for))
    time.sleep(wish.sleep)
    if wish.die:
        os.kill(os.getpid(), wish.die)
    return int(wish.exit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fake_agent", description="An agent that misbehaves on demand.")
    parser.add_argument("--ignore-term", action="store_true", help="go on after SIGTERM")
    parser.add_argument("--record-environment", metavar="FILE", help="write the environment there")
    parser.add_argument(
        "--child", choices=("group", "session"), help="leave a child behind that sleeps and holds stdout and stderr"
    )
    parser.add_argument("--child-seconds", type=float, default=60.0, metavar="S", help="how long the child sleeps")
    parser.add_argument("--bare-child", action="store_true", help="the child closes all it inherited")
    parser.add_argument("--close", action="store_true", help="close stdin, stdout and stderr")
    parser.add_argument("--echo", action="store_true", help="write what stdin holds")
    parser.add_argument("--cat", metavar="FILE", help="write what the file holds")
    parser.add_argument("--say", default="", metavar="TEXT", help="write the text to stdout")
    parser.add_argument("--bytes", default="", metavar="HEX", help="write these bytes to stdout, as hex digits")
    parser.add_argument("--out-bytes", type=int, default=0, metavar="N", help="write N bytes without a line's end")
    parser.add_argument("--complain", default="", metavar="TEXT", help="write the text to stderr")
    parser.add_argument("--err-bytes", type=int, default=0, metavar="N", help="write N bytes to stderr")
    parser.add_argument("--touch", metavar="FILE", help="make the file, once all is written")
    parser.add_argument("--wait-for", metavar="FILE", help="wait until there is such a file")
    parser.add_argument("--sleep", type=float, default=0.0, metavar="S", help="sleep that many seconds")
    parser.add_argument("--die", type=int, default=0, metavar="SIGNAL", help="end by this signal")
    parser.add_argument("--exit", type=int, default=0, metavar="CODE", help="the exit code")
    parser.add_argument("rest", nargs="*", help="looked at by nobody")
    return parser


def _start_child(wish: argparse.Namespace) -> None:
    """A child in the same group or in a session of its own, which writes its pid to `child` in the working folder."""
    if os.fork():
        return
    if wish.child == "session":
        os.setsid()
    if wish.bare_child:
        os.closerange(0, 256)
    Path("child.tmp").write_text(str(os.getpid()), encoding="ascii")
    os.rename("child.tmp", "child")
    time.sleep(wish.child_seconds)
    os._exit(0)


def _write_all(wish: argparse.Namespace) -> None:
    if wish.echo:
        _write(1, sys.stdin.buffer.read())
    if wish.cat:
        _write(1, Path(wish.cat).read_bytes())
    _write(1, wish.say.encode("utf-8", "surrogateescape"))
    _write(1, bytes.fromhex(wish.bytes))
    _flood(1, wish.out_bytes)
    _write(2, wish.complain.encode("utf-8", "surrogateescape"))
    _flood(2, wish.err_bytes)


def _flood(descriptor: int, count: int) -> None:
    while count > 0:
        _write(descriptor, _BLOCK[:count])
        count -= len(_BLOCK)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
