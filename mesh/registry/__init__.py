"""Which versions of a model are there, what is known of each, and which one is the champion? On a folder or S3. No Ray.

Versions never change. Aliases move by compare-and-set, and every move is on record before it happens.
"""

from mesh.registry.audit import Audit, AuditEntry, LinesAudit, MemoryAudit
from mesh.registry.objects import Changed, FolderObjects, Objects, Stored
from mesh.registry.registry import Registry
from mesh.registry.version import Aliases, Draft, GateResult, Lineage, ModelVersion, Move

__all__ = [
    "Aliases",
    "Audit",
    "AuditEntry",
    "Changed",
    "Draft",
    "FolderObjects",
    "GateResult",
    "Lineage",
    "LinesAudit",
    "MemoryAudit",
    "ModelVersion",
    "Move",
    "Objects",
    "Registry",
    "Stored",
]
