"""Old rows of features, scored by a model as it is now: a day at a time, over Ray Data. Needs the extra `backfill`.

Scoring and the keeping of results know no Ray; `run` alone does.
"""

from mesh.backfill.plan import Backfill, day_key
from mesh.backfill.sinks import DaySink

__all__ = ["Backfill", "DaySink", "day_key"]
