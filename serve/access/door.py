"""The door of one router: its records, who it lets in, and the routes about both, put together in one place."""

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from mesh.records.heads import HeadWatch
from mesh.records.kafka_heads import KafkaHeads
from mesh.records.opened import Records, records_of
from mesh.security.exposure import is_loopback
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder
from serve.access.gate import Gate
from serve.access.guard import App, Guard
from serve.access.metering import AccessMetering
from serve.access.whoami import whoami_router
from serve.api.audit import audit_router


@dataclass(frozen=True, slots=True)
class Door:
    """Open from `open_door` to `close`."""

    records: Records
    gate: Gate
    listener_local: bool
    _metering: AccessMetering
    _watch: HeadWatch

    @property
    def routers(self) -> list[APIRouter]:
        """`/whoami` and `/audit`."""
        return [whoami_router(), audit_router(self.records.audit, self.records.transactions)]

    def guarded(self, app: App) -> App:
        """`app` behind the gate."""
        answered = self._metering.answered
        return Guard(app, self.gate, listener_local=self.listener_local, answered=answered)

    async def close(self) -> None:
        """Publish where the log ends, finish changes that wait, close the database."""
        await self._watch.stop()
        await self.records.close()


def open_door(
    settings: Settings, topic: str, root: Path, recorder: Recorder, process: str, gate: Gate
) -> Door:
    """The door at `gate`, on the event loop that runs; where the audit log ends is published to `topic`.

    The database is opened at its first use, so that inference never waits for it.

    Raises `InvalidConfig` for a wrong `MESH_DATABASE_URL`.
    """
    metering = AccessMetering(recorder, process)
    records = records_of(settings, root, metering.written)
    sink = KafkaHeads(settings.kafka_bootstrap_servers, topic)
    watch = HeadWatch(records.end, sink, metering)
    watch.start()
    return Door(records, gate, is_loopback(settings.mesh_host), metering, watch)
