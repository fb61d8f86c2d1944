"""Line 6: from the save of a file to its dispatch being durable."""

from __future__ import annotations

import time
from pathlib import Path

from bench.steps import home
from glink.app import Engine
from glink.config import load_config
from glink.event import Record


def save_to_dispatch(folder: Path, saves: int) -> list[float]:
    """Milliseconds from before each `os.replace` to after the sync of the dispatch."""
    home(folder, 3, fan=False)
    heard: list[float] = []

    def listen(records: list[Record]) -> None:
        if any(one["type"] == "step.dispatched" and one["step"] == "0" for one in records):
            heard.append(time.perf_counter())

    engine = Engine.open(load_config(None, environ={}, folder=folder), listeners=[listen])
    thread = engine.run_in_background()
    file = folder / "projects" / "p.yaml"
    text, took = file.read_text(), []
    while not heard:
        time.sleep(0.01)
    for number in range(saves):
        time.sleep(0.15)
        heard.clear()
        temporary = folder / "projects" / ".p.tmp"
        temporary.write_text(text.replace("do 0 0,", f"do 0 0 again {number},"))
        began = time.perf_counter()
        temporary.replace(file)
        while not heard:
            time.sleep(0.0005)
        took.append((heard[0] - began) * 1e3)
    engine.stop()
    thread.join()
    engine.close()
    return took
