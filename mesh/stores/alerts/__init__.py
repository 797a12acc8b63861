"""Alerts and their states, shared by all replicas: in Redis, or in memory for tests and trials.

Writing is idempotent by id, so that a stream that is read again changes nothing; people act by compare-and-set.
"""

from mesh.stores.alerts.memory import MemoryAlerts
from mesh.stores.alerts.ports import AlertBook, AlertChanges, AlertWriter
from mesh.stores.alerts.query import AlertPage, AlertQuery, Change
from mesh.stores.alerts.redis_alerts import RedisAlerts
from mesh.stores.alerts.written import Written

__all__ = [
    "AlertBook",
    "AlertChanges",
    "AlertPage",
    "AlertQuery",
    "AlertWriter",
    "Change",
    "MemoryAlerts",
    "RedisAlerts",
    "Written",
]
