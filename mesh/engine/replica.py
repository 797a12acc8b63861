"""Where one model replica can be reached; what the directory hands out and the engine chooses from."""

from dataclasses import dataclass, field

from mesh.routing.types import Signature


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica's lease. `unix_path` works on `node` only, `host:port` from everywhere; `rows_waiting` is its load."""

    replica_id: str
    model: str
    version: str
    node: str
    unix_path: str
    host: str
    port: int
    secret: str = field(repr=False)
    signature: Signature
    rows_waiting: int = 0
