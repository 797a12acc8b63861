"""What this process uses, read from the operating system."""

import os
import platform

import psutil

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


class ProcessMeter:
    """Records memory and processor time of this process under the name `process`, such as `router`."""

    def __init__(self, process: str) -> None:
        self._process = psutil.Process()
        self._labels = (process, str(os.getpid()), platform.node())

    def record(self, recorder: Recorder) -> None:
        """Set both gauges; about 60 µs, so once a second is plenty."""
        with self._process.oneshot():
            used = self._process.cpu_times()
            recorder.set(names.PROCESS_MEMORY, self._process.memory_info().rss, self._labels)
            recorder.set(names.PROCESS_CPU, used.user + used.system, self._labels)
