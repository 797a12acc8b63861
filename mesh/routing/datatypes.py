"""The Open Inference Protocol's datatype names and the numpy dtypes that hold them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

NUMPY_OF: Final[Mapping[str, np.dtype]] = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "UINT8": np.dtype(np.uint8),
        "UINT16": np.dtype(np.uint16),
        "UINT32": np.dtype(np.uint32),
        "UINT64": np.dtype(np.uint64),
        "INT8": np.dtype(np.int8),
        "INT16": np.dtype(np.int16),
        "INT32": np.dtype(np.int32),
        "INT64": np.dtype(np.int64),
        "FP16": np.dtype(np.float16),
        "FP32": np.dtype(np.float32),
        "FP64": np.dtype(np.float64),
        "BYTES": np.dtype(object),
    }
)
"""Every datatype the mesh carries. BYTES elements are Python `bytes`."""

DATATYPE_OF: Final[Mapping[np.dtype, str]] = MappingProxyType(
    {dtype: name for name, dtype in NUMPY_OF.items()}
)


def datatype_of(array: np.ndarray) -> str:
    """The protocol's name for an array's dtype; `ValueError` for one that it cannot carry."""
    try:
        return DATATYPE_OF[array.dtype]
    except KeyError:
        raise ValueError(f"dtype {array.dtype} has no Open Inference Protocol datatype") from None


def empty_value(datatype: str) -> object:
    """What stands in a failed row of a partial answer: NaN, zero, False or empty bytes, by datatype."""
    if datatype == "BYTES":
        return b""
    return float("nan") if datatype.startswith("FP") else NUMPY_OF[datatype].type(0)
