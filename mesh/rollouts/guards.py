"""Guards for a mesh that has none."""

from collections.abc import Mapping

from mesh.rollouts.plan import Guard, Plan


class NoGuards:
    """`Guards` that never hold."""

    async def holding(self, plan: Plan) -> Mapping[Guard, str]:
        """As `Guards.holding`."""
        del plan
        return {}
