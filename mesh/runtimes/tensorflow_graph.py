"""What a SavedModel's graph would do besides computing, found before it is loaded.

TensorFlow calls models programs (https://github.com/tensorflow/tensorflow/security/policy): some operations read and write
files, or call Python.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from mesh.errors import ArtifactError
from mesh.runtimes.base import Artifact

_DANGEROUS: Final = frozenset(
    {
        "ReadFile", "WriteFile", "MatchingFiles", "WholeFileReader", "TextLineReader", "TFRecordReader",
        "FixedLengthRecordReader", "LMDBReader", "RecordInput", "Skipgram", "LoadAndRemapMatrix",
        "GenerateVocabRemapping", "PyFunc", "PyFuncStateless", "EagerPyFunc", "TextLineDataset", "TFRecordDataset",
        "FixedLengthRecordDataset", "CSVDataset", "SqlDataset", "LMDBDataset", "MatchingFilesDataset",
        "SnapshotDataset", "SnapshotDatasetReader", "SnapshotChunkDataset", "ListSnapshotChunksDataset",
        "CacheDataset", "SaveDataset", "LoadDataset", "DatasetToTFRecord", "DistributedSave",
        "CreateSummaryFileWriter", "CreateSummaryDbWriter", "DumpTensor", "CalibrationStatisticsSaver",
        "DebugIdentity", "DebugNanCount", "DebugNumericSummary", "PrintV2", "DataServiceDataset", "RegisterDataset",
        "RpcCall", "RpcClient", "RpcServer", "RemoteCall", "FileSystemSetConfiguration",
    }
)  # fmt: skip
"""Under their plain names: `ExperimentalCSVDataset` and `CSVDatasetV2` do what `CSVDataset` does."""


def refuse_graph(artifact: Artifact, folder: Path) -> None:
    """Raises `ArtifactError` naming the operation that is none of a model's."""
    for name in _operations(artifact, folder / "saved_model.pb"):
        if name in _DANGEROUS or _plain(name) in _DANGEROUS:
            raise ArtifactError(
                f"model '{artifact.name}': {folder} is not loaded: its graph has the operation {name}, which reads or writes "
                "outside of it or calls Python. If you trust whoever made it to run code on this machine, say `trusted: true`"
            )


def _plain(name: str) -> str:
    return re.sub(r"^Experimental|V\d+$", "", name)


def _operations(artifact: Artifact, path: Path) -> Iterator[str]:
    saved = SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise ArtifactError(f"model '{artifact.name}': {path} is no SavedModel: {error}") from error
    for graph in saved.meta_graphs:
        yield from (node.op for node in graph.graph_def.node)
        for function in graph.graph_def.library.function:
            yield from (node.op for node in function.node_def)
