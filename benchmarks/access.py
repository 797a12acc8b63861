"""`access-token`: what asking for a token costs one inference request at the HTTP edge, with and without in alternating rounds.

The engine echoes, so that the edge is all there is to measure: behind a model the share is smaller.
"""

import asyncio
import statistics
import time
from typing import Final

import orjson

from benchmarks.results import Row, at_most
from mesh.records.bearer import Bearers
from mesh.records.tokens import Token, mint
from mesh.routing.types import Signature, TensorSpec
from serve.access.gate import Gate
from serve.http.infer_route import InferRoute
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.echo_engine import EchoEngine

ROUNDS: Final = 101
REQUESTS: Final = 400
_SIGNATURE: Final = Signature((TensorSpec("x", "FP32", (-1, 16)),), (TensorSpec("x", "FP32", (-1, 16)),))
_INPUT: Final = {"name": "x", "shape": [1, 16], "datatype": "FP32", "data": [0.5] * 16}
_BODY: Final = orjson.dumps({"inputs": [_INPUT]})


async def seconds(route: InferRoute, headers: dict[bytes, bytes]) -> float:
    """Processor seconds of one request, over `REQUESTS` of them."""
    began = time.process_time()
    for _ in range(REQUESTS):
        response = await route.respond("default", "", headers, _BODY)
    if response.status != 200:
        raise RuntimeError(f"the edge answered {response.status}")
    return (time.process_time() - began) / REQUESTS


async def measure() -> list[tuple[float, float]]:
    """Processor seconds of a request without and with a token, a pair a round."""
    minted = mint("bench", "viewer", "bench", 0)

    async def find(_: str) -> Token:
        return minted.token

    gate = Gate(Bearers(find), "all", "bench")
    facts = ServerFacts("bench", "0", {})
    free = InferRoute(Inference(EchoEngine({"default": _SIGNATURE}), facts))
    guarded = InferRoute(Inference(EchoEngine({"default": _SIGNATURE}), facts, admission=gate))
    bearer = {b"authorization": f"Bearer {minted.text}".encode()}
    return [(await seconds(free, {}), await seconds(guarded, bearer)) for _ in range(ROUNDS)]


def rows() -> list[Row]:
    """The median of the rounds' ratios."""
    pairs = asyncio.run(measure())
    without, with_token = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    note = f"{without:.1f} us without, {with_token:.1f} us with"
    return [at_most("access-token", "of a request without", [b / a for a, b in pairs], 1.15, note)]
