"""Who serves which model, for how long: the directory's state, without Ray or a clock."""

from dataclasses import dataclass, replace

from mesh.engine.replica import Replica

LEASE_S = 6.0
"""How long a lease lasts. A replica that is killed is forgotten after at most this."""

RENEW_S = 2.0
"""How often a replica renews; three in a row must be missed before its lease ends."""

SETTLE_S = 3.0
"""After a start, how long engines that knew more are kept waiting for the renewals of all living replicas."""

IDLE_S = 60.0
"""A directory that nobody has used for this long ends itself."""


@dataclass(slots=True)
class _Lease:
    replica: Replica
    ends: float


class Leases:
    """Replicas by id, each until its lease ends. `now` is always given, in seconds of any monotonic clock.

    `revision` changes when the set of replicas does, not when only their load does. It starts at `epoch`,
    which must differ between incarnations, so that a watcher of an earlier one sees that it has to catch up.
    """

    def __init__(self, epoch: int, now: float) -> None:
        """An empty directory that began at `now`."""
        self.revision = epoch
        self._epoch = epoch
        self._started = now
        self._last_used = now
        self._leases: dict[str, _Lease] = {}

    def renew(self, replica: Replica, now: float) -> bool:
        """Begin or prolong a lease; True if what watchers know has changed."""
        self._last_used = now
        held = self._leases.get(replica.replica_id)
        self._leases[replica.replica_id] = _Lease(replica, now + LEASE_S)
        if held is not None and replace(held.replica, rows_waiting=replica.rows_waiting) == replica:
            return False
        self.revision += 1
        return True

    def release(self, replica_id: str, now: float) -> bool:
        """End a lease at once; True if there was one."""
        self._last_used = now
        if self._leases.pop(replica_id, None) is None:
            return False
        self.revision += 1
        return True

    def expire(self, now: float) -> bool:
        """Drop the leases that ended; True if there were any."""
        over = [replica_id for replica_id, lease in self._leases.items() if lease.ends <= now]
        for replica_id in over:
            del self._leases[replica_id]
        if over:
            self.revision += 1
        return bool(over)

    def news_for(self, known: int, now: float) -> bool:
        """Whether a watcher that knows revision `known` (0: nothing) should be answered now.

        One that knew an earlier incarnation waits until this one has settled: before that the list is too
        short, and engines would drop replicas that live.
        """
        self._last_used = now
        if known == self.revision:
            return False
        earlier = known != 0 and not self._epoch <= known < self.revision
        return not earlier or now >= self._started + SETTLE_S

    def settles_in(self, now: float) -> float:
        """Seconds until all living replicas have renewed since the start; 0 once they had time to."""
        return max(0.0, self._started + SETTLE_S - now)

    def idle(self, now: float) -> bool:
        """Nobody has leased or watched for a minute."""
        return not self._leases and now >= self._last_used + IDLE_S

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All replicas that hold a lease, oldest first."""
        return tuple(lease.replica for lease in self._leases.values())
