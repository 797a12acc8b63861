"""What outlives a process, each behind a port of few methods: alerts, the newest features, and the history of all of them.

`views`, `rows`, `point_in_time`, `sampling` and `novelty` are pure: stdlib and numpy. Each adapter is one file and the only
importer of its client: `redis_online`, `delta_*`, `kafka_features`. Times are milliseconds since 1970 (UTC), int64.
"""

from mesh.stores.rows import FeatureBatch, OnlineRow, Piece, Window
from mesh.stores.views import FeatureView, Tiers, digest_of

__all__ = ["FeatureBatch", "FeatureView", "OnlineRow", "Piece", "Tiers", "Window", "digest_of"]
