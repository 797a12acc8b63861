"""What the command line brings with it when it starts."""

import subprocess
import sys

_HEAVY = ("ray", "torch", "tensorflow", "onnxruntime", "deltalake")


def test_no_command_imports_ray_or_a_framework_before_it_runs():
    """`hyperstream up` sets the variables that confine Ray to the loopback; Ray reads them when it is imported."""
    code = f"import sys, mesh.cli.app; print([name for name in {_HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
