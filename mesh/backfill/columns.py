"""The columns of a backfill's results: every table has those of the first, also a batch without an answer to take them from."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

import pyarrow as pa

from mesh.backfill.held import Held
from mesh.stores.errors import StoreFailed

FAILED: Final = "failed"
"""The column that says why a row has no answer; null where it has one."""


def of_one_schema(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The tables, in their order, with the columns of the first that has an answer; of one without any, nulls where it has none.

    Tables before that first are held back, on disk: how wide an output of open width is, only an answer says. Raises
    `StoreFailed`, at the table, where one has a column that the first has not, lacks one, or has it of another type.
    """
    with Held() as held:
        schema: pa.Schema | None = None
        answered: list[pa.Table] = []
        for table in tables:
            if not _all_failed(table):
                schema, answered = table.schema, [table]
                break
            schema = schema or table.schema
            held.add(table)
        if schema is not None:
            for table in chain(held, answered, tables):
                yield _fitted(table, schema)


def _all_failed(table: pa.Table) -> bool:
    return bool(table[FAILED].null_count == 0)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    for name in table.column_names:
        if name not in schema.names:
            raise StoreFailed(f"column '{name}' is not in the first batch of the results: {_REMEDY}")
    return pa.table([_column(table, field) for field in schema], schema=schema)


def _column(table: pa.Table, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    if field.name not in table.column_names:
        if not _all_failed(table):
            raise StoreFailed(f"column '{field.name}' of the first batch is not in a later one: {_REMEDY}")
        return pa.nulls(table.num_rows, field.type)
    found = table[field.name]
    if found.type != field.type:
        raise StoreFailed(
            f"column '{field.name}' is {found.type}, and {field.type} in the first batch: {_REMEDY}"
        )
    return found


_REMEDY: Final = "the model must give the same outputs, as wide, for all rows"
