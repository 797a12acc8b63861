"""`hyperstream send`."""

import json
import sys
import time
import uuid
from typing import Annotated

import msgspec
import typer

from mesh.cli import environment
from mesh.cli.attributes import parse_setting
from mesh.cli.outbox import Outbox
from mesh.cli.predictions import Log, parse
from mesh.errors import InvalidInput, MeshError
from mesh.settings import Settings


def send(
    features: Annotated[
        str, typer.Argument(help='Rows as JSON, [[1,2,3]], or named inputs, {"x": [[1,2,3]]}.')
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="model_id: an endpoint or a model [default: the default one]")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="An attribute that rules read, name=value.")
    ] = None,
    input_id: Annotated[
        str | None, typer.Option("--id", help="The record's input_id [default: made up]")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The Kafka key.")] = None,
    topic: Annotated[str | None, typer.Option(help="The topic [default: KAFKA_INFERENCE_TOPIC]")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the prediction and print it.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait.")] = 10.0,
) -> None:
    """Put one record into Kafka; with --wait, show what the mesh says to it.

    For example:

    - `hyperstream send '[[0.12, 0.04, 0.98]]' --model threat-detector-v1 --set tenant=blue-team`
    - `hyperstream send '[[1, 2, 3]]' --model identity --wait`
    """
    settings = environment.settings()
    name = input_id or f"cli-{uuid.uuid4().hex[:12]}"
    record = _record(features, model, set_ or [], name)
    log = Log(settings) if wait else None
    where = topic or settings.kafka_inference_topic
    partition, offset = Outbox(settings.kafka_bootstrap_servers, where).send_now(
        record, key.encode() if key else None
    )
    inference_id = f"{where}-{partition}-{offset}"
    sys.stderr.write(f"sent {inference_id} (input_id {name})\n")
    if log is not None:
        sys.stdout.write(_answer(log, inference_id, timeout, settings) + "\n")
        log.close()


def _record(features: str, model: str | None, settings: list[str], input_id: str) -> bytes:
    try:
        rows = msgspec.json.decode(features)
    except msgspec.DecodeError as error:
        raise InvalidInput("FEATURES", f"is not JSON: {error}; write rows as '[[1, 2, 3]]'") from None
    if not isinstance(rows, list | dict):
        raise InvalidInput("FEATURES", "must be rows, '[[1, 2, 3]]', or named inputs, '{\"x\": [[1, 2, 3]]}'")
    attributes = {one.name: one.value for one in map(parse_setting, settings) if one.applies(0)}
    chosen = {} if model is None else {"model_id": model}
    return msgspec.json.encode({**chosen, "input_id": input_id, "features": rows, "metadata": attributes})


def _answer(log: Log, inference_id: str, timeout_s: float, settings: Settings) -> str:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for _, payload in log.read():
            if parse(payload).inference_id == inference_id:
                return json.dumps(json.loads(payload), indent=2)
    topic = settings.kafka_inference_topic
    raise MeshError(
        f"no prediction for {inference_id} within {timeout_s:g} s; bad records lie in {topic}.dlq"
    )
