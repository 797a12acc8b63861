"""The loop of `hyperstream features materialize`, and what watches it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from rich.console import Console

from mesh.cli.stores import Place
from mesh.cluster.metrics_access import guarded_port
from mesh.cluster.metrics_port import MetricsPort
from mesh.errors import MeshError
from mesh.stores.errors import OffsetsMoved, StoreFailed, StreamAway
from mesh.stores.kafka_features import KafkaFeatures
from mesh.stores.materialize import CommitPolicy, FromBeginning, Materializer
from mesh.stores.parity_check import check_parity, record_parity
from mesh.stores.records import RowDecoder
from mesh.stores.redis_online import RedisOnlineStore
from mesh.telemetry import names
from mesh.telemetry.exposition import exposition
from mesh.telemetry.recorder import Recorder

POLL_RECORDS: Final = 2_000
POLL_S: Final = 0.25
SILENT_S: Final = 60.0
"""So long nothing may come before --until-caught-up gives up."""
PARITY_S: Final = 60.0
_PARITY_SAMPLE: Final = 200
_PARITY_DAYS: Final = 2
_LINE_S: Final = 5.0

Committed = Callable[[Mapping[int, int]], object]
"""Partition → the offset that the table is at now."""


GROUP: Final = "hyperstream-features"
_AGAIN_S: Final = (1.0, 30.0)


@dataclass(frozen=True, slots=True)
class Job:
    """Kafka into the history of a view, until `stop`; says on `console` what comes of it."""

    place: Place
    policy: CommitPolicy
    recorder: Recorder
    console: Console
    stop: threading.Event

    def run(self, *, from_beginning: bool = False, until_caught_up: bool = False) -> None:
        """Once, with Kafka and the table there. Raises `StreamAway`, `StoreFailed`."""
        view = self.place.view
        materializer = Materializer(
            view.name, RowDecoder(view), self.place.writer(), self.policy, self.recorder
        )
        again = FromBeginning(materializer)
        # Of its own for each table: readers for another transform or another place need all partitions too.
        place = blake2b(self.place.history.encode(), digest_size=4).hexdigest()
        group = f"{GROUP}.{view.name}.{view.transform}.{place}"
        begin = again.begin if from_beginning else materializer.begin
        source = KafkaFeatures(self.place.settings.kafka_bootstrap_servers, view.topic, group, begin)
        began = time.monotonic()
        loop = MaterializeLoop(source, materializer, self.recorder, view.name, [source.tell, again.note])
        try:
            loop.run(self.stop, self.console, until_caught_up=until_caught_up)
        finally:
            source.close()
        self.console.print(loop.summary(time.monotonic() - began), highlight=False)

    def keep_on(self, *, from_beginning: bool = False) -> None:
        """Again and again: what is away is waited for, from 1 to 30 s at a time."""
        pause, most = _AGAIN_S
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self.run(from_beginning=from_beginning)
            except (StreamAway, StoreFailed) as error:
                if time.monotonic() - began > most:
                    pause = _AGAIN_S[0]
                words = f"trying again in {pause:.0f} s: {error}"
                self.console.print(words, highlight=False, soft_wrap=True)
                self.stop.wait(pause)
                pause = min(most, 2 * pause)


class MaterializeLoop:
    """Polls, commits, and says how far it is."""

    def __init__(
        self,
        source: KafkaFeatures,
        materializer: Materializer,
        recorder: Recorder,
        view: str,
        committed: Sequence[Committed],
    ) -> None:
        """`committed` hear of every commit."""
        self._source, self._materializer = source, materializer
        self._recorder, self._view, self._committed = recorder, view, committed
        self._told = 0

    def run(self, stop: threading.Event, console: Console, *, until_caught_up: bool) -> None:
        """Until `stop`, or until all is read; what has gathered is committed at the end. Raises `StreamAway`, `StoreFailed`."""
        heard = said = time.monotonic()
        read = 0
        while not stop.is_set() and not (until_caught_up and self._source.caught_up):
            records = self._source.poll(POLL_RECORDS, POLL_S)
            now = time.monotonic()
            self._tell_anew(console)
            self._materializer.take(records, now)
            read += len(records)
            if records:
                heard = now
            elif until_caught_up and now - heard > SILENT_S:
                raise StreamAway(
                    f"nothing came for {SILENT_S:.0f} s and the topic's end is not reached: is Kafka well?"
                )
            if self._source.made_anew:
                self._flush()
                self._source.again()
                self._tell_anew(console)
            elif self._materializer.due(now):
                self._flush()
            if now - said >= _LINE_S:
                self._say(console, read / (now - said))
                said, read = now, 0
        self._flush()

    def summary(self, seconds: float) -> str:
        """What came of it, in one line."""
        totals = self._materializer.totals
        rate = totals.records / max(1e-6, seconds)
        words = [f"{totals.added:,} rows added", f"{totals.repeated:,} were there"]
        words += [f"{count:,} refused ({reason})" for reason, count in sorted(totals.refused.items())]
        words += [f"{totals.lost:,} offsets were gone from Kafka"] if totals.lost else []
        anew = sorted({one.partition for one in self._materializer.made_anew})
        words += [f"the topic was made anew (partitions {', '.join(map(str, anew))})"] if anew else []
        return f"{', '.join(words)}; {rate:,.0f} records/s"

    def _flush(self) -> None:
        try:
            ends = self._materializer.flush()
        except OffsetsMoved:
            self._source.again()
        else:
            for hear in self._committed:
                hear(ends)

    def _tell_anew(self, console: Console) -> None:
        for one in self._materializer.made_anew[self._told :]:
            console.print(f"topic {self._source.topic} was made anew: {one}", highlight=False, soft_wrap=True)
        self._told = len(self._materializer.made_anew)

    def _say(self, console: Console, rate: float) -> None:
        if not self._source.assigned:
            console.print("waiting for partitions: the group is still sharing them out", highlight=False)
            return
        lag = self._source.lag()
        self._recorder.set(names.FEATURES_LAG, lag, (self._view,))
        left = f", caught up in {lag / rate:,.0f} s" if lag and rate >= 1 else ""
        totals = self._materializer.totals
        console.print(
            f"{totals.added:,} rows added, {totals.repeated:,} were there; {rate:,.0f} records/s, lag {lag:,}{left}",
            highlight=False,
        )


@contextlib.contextmanager
def watched(place: Place, recorder: Recorder, port: int | None) -> Iterator[None]:
    """With a port: serve the metrics there, and compare online with history once a minute, for as long as the process lives.

    Raises `InvalidConfig` as `guarded_port`.
    """
    if port is None:
        yield
        return

    def page() -> bytes:
        found = recorder.snapshot()
        return exposition(found.counters, found.gauges, found.histograms)

    served = guarded_port(place.settings, place.settings.mesh_host, port, page)
    threading.Thread(
        target=asyncio.run, args=[_watch(place, recorder, served)], name="watch", daemon=True
    ).start()
    yield


async def _watch(place: Place, recorder: Recorder, served: MetricsPort) -> None:
    comparing = asyncio.create_task(_compare(place, recorder.for_thread()))
    await served.serve_forever()
    comparing.cancel()


async def _compare(place: Place, recorder: Recorder) -> None:
    """Set the metric of parity every minute; without an answer from both sides it stays as it was."""
    online = RedisOnlineStore(place.settings.redis_url)
    while True:
        await asyncio.sleep(PARITY_S)
        with contextlib.suppress(MeshError):
            reader = await asyncio.to_thread(place.reader)
            now = time.time_ns() // 1_000_000
            found = await check_parity(place.view, reader, online, _PARITY_SAMPLE, _PARITY_DAYS, now)
            record_parity(recorder, place.view, found)
