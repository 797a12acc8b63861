"""The history that `hyperstream up` keeps beside the mesh: a process of its own, which ends with ours."""

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mesh.embedded.child import Child
from mesh.settings import Settings
from mesh.spec import load_features

HOW: Final = "pip install 'hyperstream-mesh[features]'"
VIEW: Final = "telemetry"
END_S: Final = 6.0
_PACKAGES: Final = ("deltalake", "pyarrow")


def beside(settings: Settings, log: Path, owned: ExitStack) -> list[tuple[str, str]]:
    """Write the features of a mesh that starts into their history, until `owned` closes; the line that says where, or why not.

    Without sensors there is nothing to keep and no line. A mesh without history serves all the same, so nothing is raised.
    """
    store = load_features(Path(settings.config_dir), settings.features_history)
    view = store.views.get(VIEW)
    if view is None or not view.columns:
        return []
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        return [("history", f"not kept: {HOW}")]
    command = [sys.executable, "-m", "mesh.cli", "features", "materialize", "--view", VIEW, "--keep-on"]
    child = Child.start("the history", "mesh.embedded.guard", command, log)
    owned.callback(child.stop, END_S)
    return [("history", f"{store.history} (of {view.topic})")]
