"""Freed memory stays with the process, where glibc is there to keep it."""

import platform

from serve.memory import keep_freed_memory


def test_glibc_takes_the_settings():
    assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")
