"""A signal is heard whatever the main thread is doing, also when it has just fallen asleep."""

from __future__ import annotations

import subprocess
import sys

# The kernel hands the signal to a thread other than the main one, which is what a main thread notices of a signal that
# came between its last look and its sleep: nothing wakes it.
SLEEPER = """
import os, signal, threading
from glink.cli.up import _obey_signals

heard = []
told = threading.Semaphore(0)

class Engine:
    def stop(self, *, grace, kill):
        heard.append((grace, kill))
        told.release()

threading.Thread(target=threading.Event().wait, daemon=True).start()
_obey_signals(Engine(), True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
for number in (signal.SIGTERM, signal.SIGINT):
    os.kill(os.getpid(), number)
    print(told.acquire(timeout=20), flush=True)
print(heard)
"""


def test_a_signal_is_heard_while_the_main_thread_sleeps():
    """The first asks for a stop with the usual time, the second for one without."""
    done = subprocess.run([sys.executable, "-c", SLEEPER], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["True", "True", "[(None, True), (0, True)]"], done.stderr
