"""`hyperstream train-samples`."""

import importlib

from mesh.errors import MeshError


def train_samples() -> None:
    """Train the shipped sample models again from C-MAPSS FD001, and write their metrics beside them.

    Needs the extra `train`, and the data set in the folder that MESH_SHARED names.

    Example: `MESH_SHARED=../shared hyperstream train-samples`
    """
    try:
        # Only here: nobody else needs scikit-learn and skl2onnx.
        training = importlib.import_module("mesh.learning.train_samples")
    except ImportError as error:
        raise MeshError(f"{error.name} is not installed: pip install 'hyperstream-mesh[train]'") from None
    training.main()
