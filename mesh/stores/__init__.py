"""Where are features kept, and what was known when? The newest row per entity in Redis, all of them as Delta tables.

`views`, `rows`, `point_in_time`, `sampling` and `novelty` are pure: stdlib and numpy. Each adapter is one file and the only
importer of its client: `redis_online`, `delta_*`, `kafka_features`. Times are milliseconds since 1970 (UTC), int64.
"""

from mesh.stores.rows import FeatureBatch, OnlineRow, Piece, Window
from mesh.stores.views import FeatureView, Tiers, digest_of

__all__ = ["FeatureBatch", "FeatureView", "OnlineRow", "Piece", "Tiers", "Window", "digest_of"]
