"""The telemetry chain alone, in one process: Kafka → features → Kafka, state in Redis. No Ray, no models.

Settings come from the environment, as for the mesh itself; `--config` is the folder with telemetry.yaml and pipeline.yaml. Ends,
drained, on SIGTERM or Ctrl-C.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
from pathlib import Path

import uvloop

from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine
from ingest.telemetry.configured import load_chain
from ingest.telemetry.reader import Stores, TelemetryReader
from mesh.settings import Settings
from mesh.spec import load_mesh
from mesh.stores.alerts import RedisAlerts
from mesh.stores.redis_online import RedisOnlineStore
from mesh.telemetry.recorder import Recorder


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings.from_environ(os.environ)
    mesh = load_mesh(asked.config, settings)
    chain = load_chain(asked.config, mesh)
    stores = Stores(RedisAlerts(settings.redis_url, chain.policy), RedisOnlineStore(settings.redis_url))
    config = IngestConfig.from_environ(os.environ)
    reader = TelemetryReader(settings, config, chain, InProcessEngine({}), stores, Recorder())
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
