"""PyTorch models from a file: TorchScript or torch.export, on the CPU or a GPU."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.agreement import agreed, check_declared
from mesh.runtimes.base import Artifact
from mesh.runtimes.loading import check_options, uses_cuda, whole_number
from mesh.runtimes.probing import with_outputs, zeros
from mesh.runtimes.torch_files import TorchFile, named_outputs, read_torch_file

with warnings.catch_warnings():
    # torch says once per process that a read-only array is shared with a tensor. Rows from the wire are
    # read-only, and a model that writes into them is found by `score`, so the warning is spent here.
    warnings.simplefilter("ignore")
    torch.from_numpy(np.frombuffer(b"\0", dtype=np.uint8))


class TorchRuntime:
    """A TorchScript or torch.export file. Option: `threads` (torch's own choice) for the whole process.

    torch.export states inputs and outputs. TorchScript states neither: inputs are as declared, or, for one
    matrix of FP32, found from the model's weights. Outputs are named by the dict that the model returns, else
    by the declared outputs in their order, else `output` (`output_0`, `output_1`, … for a tuple). No BYTES.
    """

    def __init__(self, artifact: Artifact) -> None:
        check_options(artifact, "threads")
        threads = whole_number(artifact, "threads", None)
        if threads is not None:
            torch.set_num_threads(threads)
        cuda = uses_cuda(
            artifact, torch.cuda.is_available(), "install a CUDA build of torch on a machine with a GPU"
        )
        self._device = "cuda" if cuda else "cpu"
        file = read_torch_file(artifact, self._device)
        self._call = file.call
        self._declared = [spec.name for spec in artifact.signature.outputs] if artifact.signature else []
        self._writes_inputs = False
        if file.inputs:
            known = agreed(artifact, Signature(file.inputs, file.outputs))
            self._order = [spec.name for spec in file.inputs]
        else:
            known = check_declared(artifact, _inputs_of_script(artifact, file))
            self._order, self._call = _matched([spec.name for spec in known.inputs], file)
            known = self._sized(known, file)
        if any(spec.datatype == "BYTES" for spec in (*known.inputs, *known.outputs)):
            raise ArtifactError(
                f"model '{artifact.name}': declared BYTES, which the torch runtime does not have"
            )
        self._signature = with_outputs(artifact, known, self.score)

    @property
    def signature(self) -> Signature:
        """As the file states it, or as declared and found."""
        return self._signature

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        """One forward pass without gradients. Arrays are shared with the model unless it writes into them."""
        given = [torch.from_numpy(tensors[name]) for name in self._order]
        if self._writes_inputs:
            given = [tensor.clone() for tensor in given]
        try:
            with torch.inference_mode():
                result = self._call(
                    *(given if self._device == "cpu" else [x.to(self._device) for x in given])
                )
                return {name: _array(x) for name, x in named_outputs(result, self._declared).items()}
        except torch.jit.Error as error:
            # The message is a listing of the script; what was raised stands in its last line.
            raise RuntimeError(str(error).strip().rpartition("\n")[2]) from error
        finally:
            self._writes_inputs |= any(tensor._version for tensor in given)  # noqa: SLF001 - the only sign of it

    def close(self) -> None:
        """Let go of the model, and give the GPU's cached memory back."""
        self._call = _closed
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _sized(self, known: Signature, file: TorchFile) -> Signature:
        """`known` with the width of its one open matrix, where only one of the model's own widths works."""
        if len(known.inputs) != 1 or known.inputs[0].shape != (-1, -1):
            return known
        only = known.inputs[0]
        sized = [TensorSpec(only.name, only.datatype, (-1, width)) for width in file.widths]
        another = TensorSpec(only.name, only.datatype, (-1, max(file.widths, default=0) + 1))
        if self._takes(another):
            return known
        fitting = next((spec for spec in sized if self._takes(spec)), only)
        return Signature((fitting,), known.outputs)

    def _takes(self, spec: TensorSpec) -> bool:
        try:
            self.score(zeros((spec,), 1))
        except Exception:  # noqa: BLE001 - whatever it raises, it does not take this width
            return False
        return True


def _inputs_of_script(artifact: Artifact, file: TorchFile) -> Signature:
    declared = artifact.signature or Signature((), ())
    if declared.inputs:
        return declared
    return Signature(tuple(TensorSpec(name, "FP32", (-1, -1)) for name in file.arguments), declared.outputs)


def _matched(names: list[str], file: TorchFile) -> tuple[list[str], Callable[..., Any]]:
    """The inputs in the order in which the call returned takes them: by name where `forward` has all the names, else by place."""
    if not set(names) <= set(file.arguments):
        return names, file.call
    order = [name for name in file.arguments if name in names]
    if order == list(file.arguments[: len(order)]):
        return order, file.call
    return order, lambda *tensors: file.call(**dict(zip(order, tensors, strict=True)))


def _array(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: np.ndarray = tensor.cpu().numpy()
    return array


def _closed(*_: torch.Tensor) -> object:
    raise RuntimeError("the model is closed")
