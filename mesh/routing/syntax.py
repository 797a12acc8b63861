"""The grammar of `when`: a recursive descent parser from words to a tree.

    condition := conjunction { ("||" | "or") conjunction }
    conjunction := negation { ("&&" | "and") negation }
    negation := "not" negation | "!" guarded | test
    guarded := "!" guarded | "(" condition ")" | "has" "(" NAME ")" | NAME | "always" | "true" | "false"
    test := "(" condition ")" | "has" "(" NAME ")" | operand [ relation operand | "in" "[" literal, ... "]" ]
    relation := "==" | "!=" | "<" | "<=" | ">" | ">="
    operand := NAME | literal
    literal := NUMBER | "-" NUMBER | TEXT | "true" | "false"

A name alone means `name == true`. `not a == b` is `not (a == b)`; `!a == b`, which readers take either way,
is refused.
"""

from difflib import get_close_matches
from typing import Final, cast

from mesh.routing.errors import RuleSyntaxError
from mesh.routing.tokens import Token, tokens
from mesh.routing.tree import (
    Among,
    Both,
    Compare,
    Constant,
    Either,
    Fixed,
    Has,
    Name,
    Node,
    Not,
    Relation,
    Value,
)

_RELATIONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_TURNED: Final[dict[str, Relation]] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_KEYWORDS: Final = ("and", "or", "not", "in", "has", "true", "false", "always")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "confidence": (int, float),
    "score": (int, float),
    "model": (str,),
}
_MAX_DEPTH: Final = 50


def parse(text: str) -> Node:
    """The tree of `text`; `RuleSyntaxError` with position and reason."""
    return _Parser(tokens(text)).whole()


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        if len(self._words) == 1:
            raise RuleSyntaxError(0, "the condition is empty; write always where the route is for every row")
        node = self._condition()
        rest = self._here
        if rest.kind != "end":
            raise RuleSyntaxError(rest.position, _after(rest))
        return node

    @property
    def _here(self) -> Token:
        return self._words[self._at]

    def _take(self, *wanted: str) -> Token | None:
        """The next word if it is a symbol or keyword among `wanted`."""
        token = self._here
        if token.word in wanted and token.kind in ("symbol", "name"):
            self._at += 1
            return token
        return None

    def _expect(self, symbol: str, why: str) -> None:
        if self._take(symbol) is None:
            raise RuleSyntaxError(self._here.position, f"expected '{symbol}' {why}")

    def _condition(self) -> Node:
        parts = [self._conjunction()]
        while self._take("||", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self._take("&&", "and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _negation(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RuleSyntaxError(self._here.position, f"conditions nest at most {_MAX_DEPTH} deep")
        if self._take("not"):
            node: Node = Not(self._negation())
        elif mark := self._take("!"):
            node = Not(self._guarded(mark))
        else:
            node = self._test()
        self._depth -= 1
        return node

    def _guarded(self, mark: Token) -> Node:
        """What may follow `!` without doubt about how far it reaches."""
        start = self._here
        if start.kind != "end" and start.word in ("!", "(", "has"):
            return self._negation()
        node = self._alone(start, self._operand())
        if self._here.word in (*_RELATIONS, "in"):
            raise RuleSyntaxError(mark.position, "say what is negated: write !(...) around the comparison")
        return node

    def _test(self) -> Node:
        if self._take("("):
            node = self._condition()
            self._expect(")", "to close the parenthesis")
            return node
        if self._here.word == "has" and self._here.kind == "name":
            return self._has()
        start = self._here
        left = self._operand()
        if relation := self._take(*_RELATIONS):
            node = self._comparison(start, left, relation)
            if again := self._take(*_RELATIONS):
                raise RuleSyntaxError(again.position, "comparisons do not chain: write a < b && b < c")
            return node
        if self._take("in"):
            return self._among(start, left)
        return self._alone(start, left)

    def _alone(self, start: Token, operand: Name | Fixed) -> Node:
        """A condition that is one word."""
        if isinstance(operand, Name):
            if operand.text == "always":
                return Constant(holds=True)
            _check_types(start, operand, (True,), ordered=False)
            return Compare("==", operand, Fixed(True))
        if isinstance(operand.value, bool):
            return Constant(operand.value)
        raise RuleSyntaxError(start.position, f"{start.word} alone is no condition; compare it with a name")

    def _has(self) -> Node:
        self._at += 1
        self._expect("(", "after has: write has(name)")
        token = self._here
        operand = self._operand()
        if not isinstance(operand, Name):
            raise RuleSyntaxError(token.position, "has takes a name, such as has(tenant)")
        self._expect(")", "after the name")
        return Has(operand)

    def _comparison(self, start: Token, left: Name | Fixed, sign: Token) -> Node:
        token = self._here
        right = self._operand()
        relation = cast("Relation", sign.word)
        if isinstance(left, Fixed):
            if isinstance(right, Fixed):
                raise RuleSyntaxError(start.position, "compares two constants; one side must be a name")
            left, right, relation, token, start = right, left, _TURNED[relation], start, token
        ordered = relation not in ("==", "!=")
        if isinstance(right, Fixed):
            _check_types(token, left, (right.value,), ordered=ordered)
        return Compare(relation, _readable(start, left), right)

    def _among(self, start: Token, left: Name | Fixed) -> Node:
        if not isinstance(left, Name):
            raise RuleSyntaxError(start.position, "the left side of in must be a name")
        self._expect("[", 'after in: write name in ["a", "b"]')
        values: list[Value] = []
        while not values or self._take(","):
            token = self._here
            operand = self._operand()
            if not isinstance(operand, Fixed):
                raise RuleSyntaxError(
                    token.position, f'a list holds values, not names; write "{operand.text}"'
                )
            _check_types(token, left, (operand.value,), ordered=False)
            values.append(operand.value)
        self._expect("]", "after the list's last value")
        return Among(_readable(start, left), tuple(values))

    def _operand(self) -> Name | Fixed:
        token = self._here
        self._at += 1
        if token.kind in ("number", "text"):
            return Fixed(token.value)
        if token.word == "-" and self._here.kind == "number":
            value = self._here.value
            self._at += 1
            return Fixed(-cast("float", value))
        if token.kind == "name":
            if token.word in ("true", "false"):
                return Fixed(token.word == "true")
            if token.word not in ("and", "or", "not", "in", "has"):
                return _name(token)
        self._at -= 1
        what = "the text ends here" if token.kind == "end" else f"found '{token.word}'"
        raise RuleSyntaxError(token.position, f"expected a name or a value, {what}")


def _name(token: Token) -> Name:
    """The name, unless it is a keyword in other letters."""
    lower = token.word.lower()
    if lower in _KEYWORDS and token.word != lower:
        raise RuleSyntaxError(token.position, f"'{token.word}' is written '{lower}'")
    if token.word in ("null", "None", "nil"):
        raise RuleSyntaxError(
            token.position, "there is no null in rules; a null counts as missing: use has(name)"
        )
    return Name(token.word)


def _readable(token: Token, name: Name) -> Name:
    if name.text == "always":
        raise RuleSyntaxError(token.position, "always is a condition of its own and is compared with nothing")
    return name


def _check_types(token: Token, name: Name, values: tuple[Value, ...], *, ordered: bool) -> None:
    """A comparison that can never hold, because of its types alone, is a mistake."""
    for value in values:
        if ordered and isinstance(value, bool):
            raise RuleSyntaxError(token.position, "true and false have no order; use == or !=")
        kinds = _TYPES.get(name.text)
        if kinds and (isinstance(value, bool) or not isinstance(value, kinds)):
            kind = "a text" if kinds == (str,) else "a number"
            raise RuleSyntaxError(token.position, f"'{name.text}' is {kind} and is compared with {kind} only")


def _after(token: Token) -> str:
    """Why a condition cannot go on with `token`."""
    if token.kind == "symbol" and token.word in _RELATIONS:
        return "only names and values are compared, not conditions"
    if token.word == "not":
        return "expected && or || before 'not'; not in is written !(name in [...])"
    if token.word == "(":
        return "there is one function, has(name)"
    if token.word == ")":
        return "this parenthesis was never opened"
    close = get_close_matches(token.word.lower(), ("and", "or", "in"), 1) if token.kind == "name" else []
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"expected && or || or the end, found '{token.word}'{hint}"
