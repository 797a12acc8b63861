"""Why a block that could run is not run as it stands, as its fence says it: `notest="needs Docker"`."""

from docs_fences import ROOT

LACKING = {
    "needs a Kubernetes cluster": "tests/unit/k8s builds every overlay and holds each object against its schema",
    "needs Docker": "tests/integration/test_containers_dockerfile.py runs the Dockerfile's commands",
    "needs a package index": "tests/integration/test_package_builds.py installs the wheel without one",
}
"""What no test can have, and what is tested instead."""
ELSEWHERE = {
    "starts the stack": "the others are run on it",
    "takes minutes": "a test runs the same with less",
    "run by": "a test runs it with surroundings of its own",
}
"""Before the place of the test: `takes minutes: tests/integration/test_x.py::test_y`."""


def problem(reason: str) -> str | None:
    """What is wrong with a reason; None where nothing is."""
    if reason in LACKING:
        return None
    kind, _, place = reason.partition(": ")
    if kind not in ELSEWHERE:
        return f"'{reason}' is none of {', '.join([*LACKING, *(f'{one}: TEST' for one in ELSEWHERE)])}"
    name, _, function = place.partition("::")
    file = ROOT / name
    if not (name.startswith("tests/") and file.is_file()):
        return f"there is no test file '{name}'"
    if not function or f"def {function}(" not in file.read_text(encoding="utf-8"):
        return f"{name} has no '{function}'"
    return None
