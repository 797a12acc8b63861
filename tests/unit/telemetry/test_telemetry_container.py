"""Memory in a container: what its control group leaves, by files as the kernel writes them."""

import pytest

from mesh.telemetry.container import Memory, bounded, memory

GIB = 2**30
MACHINE = Memory(64 * GIB, 40 * GIB)


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def second(limit, used, inactive=0, active=0):
    stat = f"anon 12\ninactive_file {inactive}\nactive_file {active}\nworkingset_refault_file 3\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": stat}


def first(limit, used, inactive=0, active=0):
    stat = f"cache 9\ninactive_file 1\ntotal_inactive_file {inactive}\ntotal_active_file {active}\n"
    return {
        "memory/memory.limit_in_bytes": f"{limit}\n",
        "memory/memory.usage_in_bytes": f"{used}\n",
        "memory/memory.stat": stat,
    }


@pytest.mark.parametrize("files", [second, first])
def test_a_pod_has_what_its_limit_leaves_and_the_files_that_are_cached_can_go(tmp_path, files):
    there = write(tmp_path, files(7 * GIB, 6 * GIB, inactive=GIB, active=GIB // 2))
    assert bounded(MACHINE, there) == Memory(7 * GIB, int(2.5 * GIB))


@pytest.mark.parametrize("files", [second("max", GIB), first(9223372036854771712, GIB), {}])
def test_without_a_limit_it_is_the_machine_s(tmp_path, files):
    assert bounded(MACHINE, write(tmp_path, files)) == MACHINE


def test_a_machine_that_is_short_leaves_no_more_than_it_has(tmp_path):
    there = write(tmp_path, second(7 * GIB, GIB))
    assert bounded(Memory(64 * GIB, 2 * GIB), there) == Memory(7 * GIB, 2 * GIB)


def test_files_that_say_nothing_that_is_known_are_passed_over(tmp_path):
    assert bounded(MACHINE, write(tmp_path, {"memory.max": "7 GiB\n"})) == MACHINE


def test_a_pod_that_is_over_its_limit_has_nothing_left(tmp_path):
    assert bounded(MACHINE, write(tmp_path, second(GIB, 2 * GIB))).available == 0


def test_here_there_is_some():
    here = memory()
    assert 0 < here.available <= here.total
