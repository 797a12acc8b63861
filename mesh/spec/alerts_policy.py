"""From what `alerts.yaml` says to rules with compiled conditions."""

from mesh.alerts.rules import Policy, Rule
from mesh.errors import InvalidConfig
from mesh.routing.errors import RuleSyntaxError
from mesh.routing.problems import KeyPath
from mesh.routing.when import When, compile_when
from mesh.spec.alerts_file import AlertsFile
from mesh.spec.document import Document
from mesh.spec.problems import one_or_all, problem_at


def compile_alerts(document: Document, file: AlertsFile) -> Policy:
    """The whole file, compiled; raises all that is wrong with its conditions at once."""
    rules: list[Rule] = []
    problems: list[InvalidConfig] = []
    for index, entry in enumerate(file.rules):
        at = ("rules", index)
        when = _compiled(document, (*at, "when"), entry.when, problems)
        clear_when = None
        if entry.clear_when is not None:
            clear_when = _compiled(document, (*at, "clear_when"), entry.clear_when, problems)
        if when is not None:
            rules.append(entry.rule(when, clear_when))
    if problems:
        raise one_or_all(problems)
    return Policy(tuple(rules), file.budget.budget(), file.retention.retention(), file.max_keys)


def _compiled(document: Document, at: KeyPath, text: str, problems: list[InvalidConfig]) -> When | None:
    """The condition, or None with its mistake added to `problems`."""
    try:
        when = compile_when(text)
    except RuleSyntaxError as error:
        problems.append(problem_at(document, at, str(error)))
        return None
    if when.never:
        problems.append(problem_at(document, at, "can never hold; remove the rule or correct the condition"))
    return when
