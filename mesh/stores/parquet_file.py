"""Rows of features as one Parquet file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from mesh.errors import MeshError
from mesh.stores.delta_table import schema_of, to_arrow
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import FeatureView

_LINEAGE = ["kafka_partition", "kafka_offset", "day", "tier"]


def write_parquet(view: FeatureView, batches: Iterable[FeatureBatch], output: Path) -> None:
    """Entity, times and the view's columns; a row group a batch. `MeshError` where the file cannot be written."""
    schema = schema_of(view)
    for name in _LINEAGE:
        schema = schema.remove(schema.get_field_index(name))
    try:
        with pq.ParquetWriter(output, schema) as writer:
            for batch in batches:
                nowhere = np.zeros(len(batch), np.int64)
                writer.write_table(to_arrow(view, batch, nowhere, nowhere).drop_columns(_LINEAGE))
    except OSError as error:
        raise MeshError(f"{output} cannot be written: {error}") from None
