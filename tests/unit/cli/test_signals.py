"""A signal is heard whatever the main thread is doing, also when it has just fallen asleep."""

from __future__ import annotations

import subprocess
import sys

# The main thread sleeps for good and takes no signal: the kernel hands them to another one. That is all that a main
# thread notices of a signal that came between its last look and its sleep: nothing wakes it.
SLEEPER = """
import os, signal, threading
from pathlib import Path
from glink.cli.up import _obey_signals
from glink.clock import wait_for

heard, told = [], threading.Semaphore(0)

class Engine:
    def stop(self, *, grace, kill):
        heard.append((grace, kill))
        told.release()

def judge():
    turns = []
    def asleep():
        status = Path(f"/proc/self/task/{os.getpid()}/status").read_text()
        turns.append(next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")))
        return len(turns) > 3 and len(set(turns[-4:])) == 1
    wait_for(asleep, seconds=20, every=0.05)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
        print(told.acquire(timeout=10), flush=True)
    print(heard, flush=True)
    os._exit(0)

_obey_signals(Engine(), True)
threading.Thread(target=judge, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
threading.Event().wait()
"""


def test_a_signal_is_heard_while_the_main_thread_sleeps():
    """The first asks for a stop with the usual time, the second for one without."""
    done = subprocess.run([sys.executable, "-c", SLEEPER], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["True", "True", "[(None, True), (0, True)]"], done.stderr
