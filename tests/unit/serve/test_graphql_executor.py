"""A subscription keeps nothing of the events that it has told."""

import asyncio
import gc

import orjson
from graphql.execution.collect_fields import FieldDetails

from mesh.stores.alerts import MemoryAlerts
from mesh.stores.predictions import MemoryBeats, MemoryLog
from serve.graphql.alert_feed import AlertFeed
from serve.graphql.feed import PredictionFeed
from serve.graphql.limits import Limits
from serve.graphql.schema import Reading, build_schema
from serve.graphql.status import StreamStatus

QUERY = """subscription {
  mlInferenceStream(modelId: "m") { inferenceId predictions confidence answeredBy { model version } }
}"""


def prediction(number: int) -> bytes:
    answered = [{"model": "m", "version": "1", "route": "r", "role": "primary"}]
    said = {"inference_id": f"t-0-{number}", "model_id": "m", "answered_by": answered}
    return orjson.dumps({**said, "predictions": [[0.5]], "confidence": [0.5]})


def kept() -> int:
    gc.collect()
    return sum(isinstance(one, FieldDetails) for one in gc.get_objects())


async def test_it_grows_by_nothing_while_it_lives() -> None:
    log = MemoryLog(1_000, wait_s=0.01)
    reading = Reading(
        PredictionFeed(log, log, 1_000),
        AlertFeed(MemoryAlerts(), MemoryAlerts(), 10),
        StreamStatus(MemoryBeats()),
    )
    told = await build_schema(Limits()).subscribe(QUERY, context_value={"reading": reading})
    after = []
    for number in range(300):
        first = asyncio.ensure_future(anext(told))
        while not reading.predictions.listeners:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0)
        log.add(prediction(number))
        found = await asyncio.wait_for(first, 20)
        assert found.data["mlInferenceStream"]["inferenceId"] == f"t-0-{number}"
        if number in (100, 299):
            after.append(kept())
    await told.aclose()
    await reading.predictions.close()
    assert after[0] == after[1]
