"""How this process gives memory back: not between two requests.

glibc returns every large block to the kernel when it is freed, and takes a page fault for each 4 KiB of the next one. A
5 MB tensor crosses a process in several such blocks, and their faults cost more than all the copying.
"""

import ctypes
import logging
from typing import Final

_LOG: Final = logging.getLogger(__name__)

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3

_LARGEST_FROM_HEAP: Final = 32 << 20
"""The largest threshold that glibc takes; blocks above it still come straight from the kernel."""

_KEPT: Final = 128 << 20
_PAD: Final = 16 << 20


def keep_freed_memory() -> bool:
    """Let glibc keep up to 128 MiB of freed memory for the next request; False where there is no glibc.

    Call it once, before the first large request. Memory above that still goes back, so the process stays bounded.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _PAD))
    taken = [mallopt(ctypes.c_int(which), ctypes.c_int(value)) for which, value in settings]
    if not all(taken):
        _LOG.debug("mallopt refused a setting: %s", taken)
    return all(taken)
