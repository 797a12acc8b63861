"""What an engine tells of breakers that it has not asked for a while."""

import time

from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy
from mesh.routing.breaker import BreakerPolicy
from mesh.routing.facts import ModelFacts

POLICY = BreakerPolicy(min_calls=2, window_s=30.0, open_s=5.0)


async def test_a_breaker_whose_rows_stopped_coming_is_not_open_for_ever():
    names = ("lately", "long_ago", "well")
    config = EngineConfig(
        {},
        {name: ModelFacts(name) for name in names},
        dict.fromkeys(names, ModelPolicy(breaker=POLICY)),
        "none",
    )
    engine = Engine(config, node="here", handles={})
    now = time.monotonic()
    for name, ago_s in (("lately", 10.0), ("long_ago", 31.0)):
        for _ in range(2):
            engine._edition.carriers[name].replicas.breaker.failed(now - ago_s)
    assert engine.breaker_states() == {"lately": "open", "long_ago": "half_open", "well": "closed"}
    await engine.close()
