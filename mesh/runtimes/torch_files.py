"""Reading the two kinds of file that PyTorch models come in: TorchScript and torch.export."""

import contextlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from mesh.errors import ArtifactError
from mesh.routing.datatypes import DATATYPE_OF
from mesh.routing.types import TensorSpec
from mesh.runtimes.base import Artifact
from mesh.runtimes.digest import checked_bytes
from mesh.runtimes.loading import file_of
from mesh.runtimes.untrusted import Member, exported_dangers, script_dangers, zipped

Source = str | io.BytesIO
"""A file by its path, or its bytes."""

_FORCE: Final = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True, slots=True)
class TorchFile:
    """A loaded file: how to call it (tensors in the order of its arguments), and what it states about itself.

    `inputs` and `outputs` are empty where the file does not state them (TorchScript). `arguments` are the
    names that its `forward` takes, `widths` the second sizes of its matrices: what a row's width may be.
    """

    call: Callable[..., Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arguments: tuple[str, ...]
    widths: tuple[int, ...]


def read_torch_file(artifact: Artifact, device: str) -> TorchFile:
    """Load the file on `device`; which kind it is, its content says and not its name."""
    path = file_of(artifact, "a TorchScript file or a torch.export file (.pt2)")
    opened = _source(artifact, path)
    try:
        with zipfile.ZipFile(opened()) as file:
            members = [*zipped(file), *_as_torch_finds(opened())]
            script = any("/code/" in f"/{member.name}" for member in members)
            exported = any(
                member.name.endswith(("archive_format", "serialized_exported_program.json"))
                for member in members
            )
            if not artifact.trusted:
                _refuse_dangers(
                    artifact, path, script_dangers(members) if script else exported_dangers(members)
                )
    except zipfile.BadZipFile:
        raise _neither(artifact, path) from None
    if script:
        return _read_script(opened(), device)
    if exported:
        return _read_exported(artifact, opened(), device)
    raise _neither(artifact, path)


def _source(artifact: Artifact, path: Path) -> Callable[[], Source]:
    """What to read the file from, each time anew: where it has a digest, the bytes that were checked."""
    if artifact.sha256 is None:
        return lambda: str(path)
    data = checked_bytes(artifact, path)
    return lambda: io.BytesIO(data)


def _as_torch_finds(source: Source) -> Iterator[Member]:
    """The archive's entries by torch's own reader, which an archive can be made to tell others than Python's.

    None where it reads nothing: what is then loaded, if anything is, is read by Python's.
    """
    with contextlib.suppress(RuntimeError):
        reader = torch._C.PyTorchFileReader(source)  # noqa: SLF001 - what torch.load and torch.export read with
        for name in reader.get_all_records():
            yield Member(name.lower(), partial(reader.get_record, name))


def _refuse_dangers(artifact: Artifact, path: Path, dangers: Iterator[str]) -> None:
    found = next(dangers, None)
    if found is not None:
        raise ArtifactError(
            f"model '{artifact.name}': {path} is not loaded: {found}. If you trust whoever made it to run code on this machine, "
            "say `trusted: true` for the model"
        )


@contextlib.contextmanager
def _weights_only(*, trusted: bool) -> Iterator[None]:
    """torch.export reads some of its tensors by `torch.load(weights_only=False)`; the variable overrules it, for this process."""
    before = os.environ.get(_FORCE)
    if not trusted:
        os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if not trusted:
            os.environ.pop(_FORCE)
            if before is not None:
                os.environ[_FORCE] = before


def _neither(artifact: Artifact, path: Path) -> ArtifactError:
    return ArtifactError(
        f"model '{artifact.name}': {path} is neither TorchScript nor torch.export, or it is damaged; "
        "save the model with torch.export.save (a file of torch.save holds weights without the model)"
    )


def _read_script(source: Source, device: str) -> TorchFile:
    with warnings.catch_warnings():
        # torch calls TorchScript deprecated; who serves such a file may not be who can change it.
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(source, map_location=device).eval()
    arguments = tuple(argument.name for argument in module.forward.schema.arguments[1:])
    widths = dict.fromkeys(int(weights.shape[1]) for weights in module.parameters() if weights.dim() == 2)
    return TorchFile(module, (), (), arguments, tuple(widths))


def _read_exported(artifact: Artifact, source: Source, device: str) -> TorchFile:
    with _weights_only(trusted=artifact.trusted):
        program = move_to_device_pass(torch.export.load(source), device)
    module = program.module()
    values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    signature, spec = program.graph_signature, program.call_spec
    inputs = tuple(_spec(artifact, name, values[name]) for name in signature.user_inputs)
    named = spec.out_spec.context if spec.out_spec.type is dict else None
    declared = [output.name for output in artifact.signature.outputs] if artifact.signature else []
    names = named or output_names(declared, len(signature.user_outputs))
    outputs = tuple(
        _spec(artifact, name, values[node]) for name, node in zip(names, signature.user_outputs, strict=True)
    )
    positional = spec.in_spec.child(0).num_children
    keywords = tuple(spec.in_spec.child(1).context)
    dtypes = [values[name].dtype for name in signature.user_inputs]

    def call(*given: torch.Tensor) -> Any:
        # Only bfloat16 comes as another dtype: as FP32, see `_spec`.
        tensors = [tensor.to(dtype) for tensor, dtype in zip(given, dtypes, strict=True)]
        return module(*tensors[:positional], **dict(zip(keywords, tensors[positional:], strict=True)))

    return TorchFile(call, inputs, outputs, tuple(signature.user_inputs), ())


def output_names(declared: list[str], count: int) -> list[str]:
    """Names for outputs that have none: as declared, else `output`, or `output_0`, `output_1` and so on."""
    if len(declared) == count:
        return declared
    return ["output"] if count == 1 else [f"output_{number}" for number in range(count)]


def _spec(artifact: Artifact, name: str, value: torch.Tensor) -> TensorSpec:
    dtype = torch.float32 if value.dtype == torch.bfloat16 else value.dtype
    datatype = DATATYPE_OF.get(np.dtype(str(dtype).removeprefix("torch.")))
    if datatype is None:
        raise ArtifactError(f"model '{artifact.name}': '{name}' is {value.dtype}, which cannot be served")
    return TensorSpec(name, datatype, tuple(size if isinstance(size, int) else -1 for size in value.shape))


def named_outputs(result: object, declared: list[str]) -> Mapping[str, torch.Tensor]:
    """What a model returned, by name: a dict as it is, a tensor or a tuple of them by position."""
    if isinstance(result, Mapping):
        return result
    tensors = list(result) if isinstance(result, tuple | list) else [result]
    return dict(zip(output_names(declared, len(tensors)), tensors, strict=True))
