"""The registry's audit in the one audit log of the mesh."""

from mesh.records.audit_log import AuditLog
from mesh.records.database import Database
from mesh.records.entry import Actor, Change
from mesh.registry.audit import AuditEntry


class LogAudit:
    """An `Audit` over the database of records. Blocks: for threads and commands."""

    def __init__(self, database: Database, via: str) -> None:
        """`via` is how the change came, as `Actor` has it."""
        self._database, self._log, self._via = database, AuditLog(database), via

    def record(self, entry: AuditEntry) -> None:
        """See `Audit`. Raises `StoreAway`."""
        actor = Actor(entry.actor, "operator", self._via)
        detail = {"before": entry.before, "after": entry.after, "reason": entry.reason}
        change = Change(actor, entry.action, f"model:{entry.subject}", detail)
        with self._database.write() as session:
            self._log.append(session, change)
