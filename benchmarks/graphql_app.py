"""The app of `/graphql` by itself, on one event loop as in its deployment: `python -m benchmarks.graphql_app PORT REDIS_URL`."""

import sys

import uvicorn

from mesh.settings import Settings
from mesh.stores.alerts import RedisAlerts
from mesh.stores.predictions import RedisBeats, RedisLog
from serve.graphql.alert_feed import AlertFeed
from serve.graphql.app import GraphqlApp
from serve.graphql.feed import PredictionFeed
from serve.graphql.limits import Limits
from serve.graphql.schema import Reading
from serve.graphql.status import StreamStatus


def main() -> None:
    port, url = int(sys.argv[1]), sys.argv[2]
    limits, channel = Limits(), Settings().redis_channel
    log, alerts = RedisLog(url, channel), RedisAlerts(url)
    reading = Reading(
        PredictionFeed(log, log, limits.waiting),
        AlertFeed(alerts, alerts, limits.waiting),
        StreamStatus(RedisBeats(url, channel)),
    )
    uvicorn.run(GraphqlApp(reading, limits), host="127.0.0.1", port=port, log_level="error", backlog=1024)


if __name__ == "__main__":
    main()
