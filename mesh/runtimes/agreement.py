"""One signature out of what the artifact states and what its user declares."""

from collections.abc import Iterable

from mesh.errors import ArtifactError
from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.signature import describe
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes.base import Artifact


def agreed(artifact: Artifact, stated: Signature) -> Signature:
    """What `artifact` states, made exact by what is declared for it.

    A stated shape of `()` says that the artifact does not know it. Sizes that one side leaves open are taken
    from the other. Declared inputs must be all of them; declared outputs may be some, and say their order.
    `ArtifactError` names both sides where they disagree, and the fix where a batch dimension is fixed or an
    input has no shape.
    """
    declared = artifact.signature or Signature((), ())
    inputs = _joined(artifact, "input", declared.inputs or stated.inputs, stated.inputs)
    if len(inputs) != len(stated.inputs):
        raise _disagreement(artifact, "input", declared.inputs, stated.inputs)
    outputs = _joined(artifact, "output", declared.outputs or stated.outputs, stated.outputs)
    _check_inputs(artifact, inputs)
    for output in outputs:
        _check_datatype(f"model '{artifact.name}': output '{output.name}'", output)
    return Signature(
        inputs, tuple(TensorSpec(o.name, o.datatype, (-1, *o.shape[1:]) if o.shape else ()) for o in outputs)
    )


def check_declared(artifact: Artifact, signature: Signature) -> Signature:
    """`signature`, all declared; `ArtifactError` for inputs without a shape, open batch or known datatype."""
    _check_inputs(artifact, signature.inputs)
    return signature


def undeclared(artifact: Artifact, what: str) -> ArtifactError:
    """The error for a runtime whose artifact does not state its inputs."""
    return ArtifactError(
        f"model '{artifact.name}': {what} does not state its inputs; declare them, for example "
        "inputs: [{name: features, datatype: FP32, shape: [-1, 16]}]"
    )


def _joined(
    artifact: Artifact, side: str, declared: tuple[TensorSpec, ...], stated: tuple[TensorSpec, ...]
) -> tuple[TensorSpec, ...]:
    known = {spec.name: spec for spec in stated}
    if any(spec.name not in known for spec in declared):
        raise _disagreement(artifact, side, declared, stated)
    return tuple(_narrowed(artifact, side, spec, known[spec.name]) for spec in declared)


def _narrowed(artifact: Artifact, side: str, declared: TensorSpec, stated: TensorSpec) -> TensorSpec:
    shape = stated.shape or declared.shape
    sizes = list(zip(declared.shape, shape, strict=False))
    if (
        declared.datatype != stated.datatype
        or len(declared.shape) != len(shape)
        or any(-1 not in pair and pair[0] != pair[1] for pair in sizes[1:])
    ):
        raise ArtifactError(
            f"model '{artifact.name}': {side} '{stated.name}' is declared as {describe(declared)}, "
            f"but the artifact says {describe(stated)}"
        )
    # The batch dimension stays as the artifact has it: a fixed one is refused below.
    return TensorSpec(stated.name, stated.datatype, (*shape[:1], *(max(pair) for pair in sizes[1:])))


def _disagreement(
    artifact: Artifact, side: str, declared: Iterable[TensorSpec], stated: Iterable[TensorSpec]
) -> ArtifactError:
    return ArtifactError(
        f"model '{artifact.name}': declared {side}s {[spec.name for spec in declared]}, "
        f"but the artifact has {[spec.name for spec in stated]}"
    )


def _check_inputs(artifact: Artifact, inputs: tuple[TensorSpec, ...]) -> None:
    if not inputs:
        raise ArtifactError(f"model '{artifact.name}': it has no inputs, so it cannot score rows")
    for spec in inputs:
        where = f"model '{artifact.name}': input '{spec.name}'"
        _check_datatype(where, spec)
        if not spec.shape:
            raise ArtifactError(f"{where}: the artifact states no shape; declare it, batch dimension first")
        if spec.shape[0] != -1:
            raise ArtifactError(
                f"{where}: the batch dimension is fixed at {spec.shape[0]}; "
                "export the model with a dynamic first dimension"
            )


def _check_datatype(where: str, spec: TensorSpec) -> None:
    if spec.datatype not in NUMPY_OF:
        raise ArtifactError(f"{where}: datatype '{spec.datatype}' is not one of {', '.join(NUMPY_OF)}")
