"""What must hold before a candidate gets any traffic. Every gate says what it measured, against which limit, and by how much."""

from mesh.learning.gates.candidate import Candidate, Evidence
from mesh.learning.gates.report import examined, verdict

__all__ = ["Candidate", "Evidence", "examined", "verdict"]
