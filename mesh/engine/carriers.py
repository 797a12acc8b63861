"""What carries calls to each model: its replicas, its batcher and its shadow lane. Models come and go while others answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.engine.batcher import Batcher
from mesh.engine.ports import EngineConfig, HandlePath, ModelPolicy, Observer
from mesh.engine.replica import Replica
from mesh.engine.replicas import Replicas
from mesh.engine.shadows import ShadowLane


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """One model's way: made once for a policy, shared by every table that sends rows to the model."""

    policy: ModelPolicy
    replicas: Replicas
    batcher: Batcher
    lane: ShadowLane

    async def close(self) -> None:
        """Close every connection; calls that are still out come back as `away`."""
        await self.replicas.close()


class Carriers:
    """The carriers of one engine, by model. Lives on one event loop."""

    def __init__(self, node: str, observer: Observer, *, direct: bool) -> None:
        """`node` is preferred among replicas; `direct` False keeps to the handles."""
        self._node = node
        self._observer = observer
        self._direct = direct
        self._leases: Sequence[Replica] = ()
        self._of: Mapping[str, Carrier] = {}

    def hold(self, config: EngineConfig, handles: Mapping[str, HandlePath]) -> Mapping[str, Carrier]:
        """A carrier for each model of `config`: the present one where its policy stands, else a new one.

        Whoever still answers by earlier carriers keeps them; closing those is theirs to do.
        """
        self._of = {
            model: held
            if (held := self._of.get(model)) is not None and held.policy == policy
            else self._made(model, policy, config, handles.get(model))
            for model, policy in config.models.items()
        }
        return self._of

    def update(self, leases: Sequence[Replica]) -> None:
        """Take over what the directory knows."""
        self._leases = leases
        for model, carrier in self._of.items():
            _tell(model, carrier, leases)

    def _made(
        self, model: str, policy: ModelPolicy, config: EngineConfig, handle: HandlePath | None
    ) -> Carrier:
        replicas = Replicas(model, policy, self._node, handle, self._observer, direct=self._direct)
        batcher = Batcher(model, replicas, policy.max_batch_rows, config.max_pending_rows)
        replicas.kick = batcher.kick
        lane = ShadowLane(
            model,
            replicas,
            self._observer,
            max_rows=config.shadow_queue_rows,
            max_batch_rows=policy.max_batch_rows,
        )
        made = Carrier(policy, replicas, batcher, lane)
        if self._leases:
            _tell(model, made, self._leases)
        return made


def _tell(model: str, carrier: Carrier, leases: Sequence[Replica]) -> None:
    carrier.replicas.update([replica for replica in leases if replica.model == model])
    carrier.batcher.kick()


async def close_all(carriers: Sequence[Carrier]) -> None:
    """Close them together."""
    await asyncio.gather(*(carrier.close() for carrier in carriers))
