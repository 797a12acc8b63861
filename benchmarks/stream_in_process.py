"""The stream alone, in one process: Kafka → rows → a model in this process → Redis. No Ray.

Settings come from the environment, as for the mesh itself. `--model trivial` answers with the first columns of the input;
`--model FILE.onnx` runs ONNX Runtime with one thread. Ends, drained, on SIGTERM or Ctrl-C.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal

import numpy as np
import uvloop

from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine, LocalModel, Score
from ingest.pool import Reader
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder


def trivial(tensors: Tensors) -> Tensors:
    return {"output": np.ascontiguousarray(next(iter(tensors.values()))[:, :4])}


def onnx(path: str) -> tuple[str, Score]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def score(tensors: Tensors) -> Tensors:
        return {output: session.run([output], {name: tensors[name]})[0]}

    return name, score


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="trivial")
    parser.add_argument("--width", type=int, default=16)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    name, score = ("input", trivial) if asked.model == "trivial" else onnx(asked.model)
    signature = Signature(
        (TensorSpec(name, "FP32", (-1, asked.width)),), (TensorSpec("output", "FP32", (-1, 4)),)
    )
    engine = InProcessEngine({"default": LocalModel(signature, score)})
    reader = Reader(
        Settings.from_environ(os.environ), IngestConfig.from_environ(os.environ), engine, Recorder()
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as the deployment does
    reader.start()
    await stop.wait()
    print(f"drained: {await reader.drain()}", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
