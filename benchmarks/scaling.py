"""`scaling-*`: what grows with the number of replicas, measured on the parts alone: 100 and 1,000 of them, without Ray.

The configuration, the directory's lease and what one change of it weighs, a choice among the replicas of one model, and the
scoreboard's second. docs/scaling.md reckons with these. All are processor time: what others do on the machine counts little.
"""

import asyncio
import pickle
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import Row, at_most
from mesh.cluster.leases import RENEW_S, Leases
from mesh.engine.direct.limits import LinkLimits
from mesh.engine.direct.link import Link
from mesh.engine.links import Links
from mesh.engine.replica import Replica
from mesh.routing.types import Signature, TensorSpec
from mesh.settings import Settings
from mesh.spec import load_mesh
from mesh.telemetry import names
from mesh.telemetry.process import ProcessMeter
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.snapshot import Snapshot
from mesh.telemetry.totals import Totals

COUNTS = (100, 1_000)
REPEATS = 5


def rows() -> list[Row]:
    """All rows of the part."""
    return [
        row
        for count in COUNTS
        for row in (models(count), *directory(count), choice(count), *scoreboard(count))
    ]


def models(count: int) -> Row:
    """Reading and checking the configuration of so many models, which each process does when it starts."""
    listed = "".join(
        f"  model-{n}: {{runtime: identity, inputs: [{{name: x, datatype: FP32, shape: [-1, 16]}}]}}\n"
        for n in range(count)
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models.yaml").write_text(f"models:\n{listed}")
        (folder / "routing.yaml").write_text("routes: [{name: all, when: always, send: [model-0]}]\n")
        took = timeit.repeat(
            lambda: load_mesh(folder, Settings()), timer=time.process_time, number=1, repeat=REPEATS
        )
    return at_most(f"scaling-models-{count}", "s", took, 5.0, "models.yaml and routing.yaml read and checked")


def replicas_of(count: int) -> list[Replica]:
    """So many replicas of one model with one input of 16 numbers and one output of four, on 100 nodes."""
    signature = Signature(
        (TensorSpec("features", "FP32", (-1, 16)),), (TensorSpec("scores", "FP32", (-1, 4)),)
    )
    return [
        Replica(
            f"replica-{n:08d}", "model", "1", f"node-{n % 100}", f"/run/user/1000/hyperstream-mesh/{n:016x}.sock",
            f"10.0.{n % 100}.1", 30_000 + n, f"{n:032x}", signature,
        )
        for n in range(count)
    ]  # fmt: skip


def directory(count: int) -> list[Row]:
    """A renewal, and a change as it travels to one engine."""
    leases, replicas = Leases(1, 0.0), replicas_of(count)
    for replica in replicas:
        leases.renew(replica, 0.0)
    renew = _microseconds(lambda: [leases.renew(replica, 1.0) for replica in replicas], count)
    change = pickle.dumps(leases.replicas)
    written = _microseconds(lambda: pickle.dumps(leases.replicas), 1)
    read = _microseconds(lambda: pickle.loads(change), 1)  # noqa: S301 - our own
    note = f"{count} replicas: {count / RENEW_S:.0f} renewals a second, without Ray's call"
    return [
        at_most(f"scaling-lease-{count}", "us", renew, 20.0, note),
        at_most(
            f"scaling-change-{count}",
            "ms",
            [one / 1e3 for one in written],
            20.0,
            f"written for one engine, {len(change) / 1024:.0f} KiB; read there: {sorted(read)[REPEATS // 2] / 1e3:.2g} ms",
        ),
    ]


def choice(count: int) -> Row:
    """Which of a model's replicas takes a call."""

    async def measure() -> list[float]:
        links = Links("node-1", 2, 1.0, lambda: None)
        for replica in replicas_of(count):
            link = Link(replica, None, LinkLimits())
            link._closed_to_calls = ""  # noqa: SLF001 - as after its greeting; no server is needed to choose
            links._links[replica.replica_id] = link  # noqa: SLF001 - the same
        return _microseconds(lambda: (links.free_slots(), links.choose(set())), 1)

    note = f"free calls counted, one of {count} replicas of one model chosen: once a call, not once a row"
    return at_most(f"scaling-choose-{count}", "us", asyncio.run(measure()), 1_000.0, note)


def scoreboard(count: int) -> list[Row]:
    """A push of one process, and a scrape, where so many model hosts push every second."""
    totals, snapshots = Totals(), [_snapshot(n) for n in range(count)]
    for n, snapshot in enumerate(snapshots):
        totals.take(f"host-{n}", snapshot, 0.0)
    pushed = []
    for turn in range(REPEATS):
        began = time.process_time()
        for n, snapshot in enumerate(snapshots):
            totals.take(f"host-{n}", snapshot, 1.0 + turn + n / count)
        pushed.append(time.process_time() - began)
    scraped = _microseconds(totals.exposition, 1)
    size = len(pickle.dumps(snapshots[0]))
    note = f"of the scoreboard's every second, without Ray's call; one push is {size} B"
    return [
        at_most(f"scaling-pushes-{count}", "s", pushed, 0.5, note),
        at_most(f"scaling-scrape-{count}", "ms", [one / 1e3 for one in scraped], 1_000.0),
    ]


def _snapshot(n: int) -> Snapshot:
    """What a model host has recorded after a while: gauges of its process and node, the seconds of its model."""
    recorder = Recorder()
    labels = (f"model-{n}", "1")
    recorder.set(names.MODEL_REPLICAS, 1, labels)
    recorder.count(names.MODEL_COMPUTE_SECONDS, 1.5, labels)
    ProcessMeter(f"model-{n}").record(recorder)
    return recorder.snapshot()


def _microseconds(work: Callable[[], object], each: int) -> Sequence[float]:
    timer = timeit.Timer(work, timer=time.process_time)
    runs, took = timer.autorange()
    runs = max(1, round(runs * 0.05 / took))
    return [1e6 * took / runs / each for took in timer.repeat(REPEATS, runs)]
