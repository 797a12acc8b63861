"""What this node has and what is used of it, by whatever runs there. Processes of one node say the same."""

import asyncio
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Final

import psutil

from mesh.telemetry import names
from mesh.telemetry.container import memory
from mesh.telemetry.recorder import Recorder

EVERY_S: Final = 5.0
_QUERY: Final = ("nvidia-smi", "--query-gpu=index,utilization.gpu,memory.used,memory.total",
                 "--format=csv,noheader,nounits")  # fmt: skip
_QUERY_S: Final = 3.0
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: share of time in use (0 to 1), and bytes."""

    index: str
    used: float
    memory_used: int
    memory_total: int


class NodeMeter:
    """Records the node at most every five seconds. GPUs only where this process was given one."""

    def __init__(self) -> None:
        self._node = platform.node()
        self._next = 0.0
        self._gpus = has_gpu(os.environ.get("CUDA_VISIBLE_DEVICES")) and shutil.which("nvidia-smi")
        psutil.cpu_percent(None)  # the first call only sets the beginning of the next one's interval

    async def record(self, recorder: Recorder, now: float) -> None:
        """Set the gauges where it is time to; about 200 µs, and a program's run in a thread for GPUs."""
        if now < self._next:
            return
        self._next = now + EVERY_S
        node, there, disk = self._node, memory(), shutil.disk_usage(tempfile.gettempdir())
        recorder.set(names.NODE_CPU, psutil.cpu_percent(None) / 100, (node,))
        recorder.set(names.NODE_LOAD, os.getloadavg()[0] / (os.cpu_count() or 1), (node,))
        recorder.set(names.NODE_MEMORY, there.total, (node, "total"))
        recorder.set(names.NODE_MEMORY, there.available, (node, "available"))
        recorder.set(names.NODE_DISK, disk.total, (node, "total"))
        recorder.set(names.NODE_DISK, disk.free, (node, "free"))
        for gpu in await asyncio.to_thread(read_gpus) if self._gpus else ():
            recorder.set(names.GPU_USED, gpu.used, (node, gpu.index))
            recorder.set(names.GPU_MEMORY, gpu.memory_used, (node, gpu.index, "used"))
            recorder.set(names.GPU_MEMORY, gpu.memory_total, (node, gpu.index, "total"))


def has_gpu(visible: str | None) -> bool:
    """Ray tells each process its GPUs in CUDA_VISIBLE_DEVICES, and those without one an empty list."""
    return bool(visible and visible.strip() not in ("", "-1", "NoDevFiles"))


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi sees; none where it does not answer in time."""
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_QUERY_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """From nvidia-smi's CSV: index, per cent, MiB, MiB. A figure that a card does not have counts as 0."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 4:
            used, memory, total = (
                float(part) if part.replace(".", "").isdigit() else 0.0 for part in parts[1:]
            )
            found.append(Gpu(parts[0], used / 100, int(memory * _MIB), int(total * _MIB)))
    return tuple(found)
