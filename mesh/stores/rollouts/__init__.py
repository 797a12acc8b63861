"""Rollouts in Redis: what they are, what was seen of them, who controls them, and what processes tell of them."""

from mesh.stores.rollouts.redis_feed import RedisFeed
from mesh.stores.rollouts.redis_lease import RedisLease
from mesh.stores.rollouts.redis_rollouts import RedisRollouts

__all__ = ["RedisFeed", "RedisLease", "RedisRollouts"]
