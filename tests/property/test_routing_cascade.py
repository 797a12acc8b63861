"""The cascade against a naive interpreter that takes one row at a time and knows nothing of columns."""

import math
import zlib
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.routing.cascade import cascade
from mesh.routing.table import Canary, ModelFacts, Route, RouteTable, ShadowRule, Split
from mesh.routing.types import MISSING, Batch, RowFailure, Scored, Unreachable
from mesh.routing.when import compile_when

MODELS = ("a", "b", "c", "d")
FACTS = {model: ModelFacts(model, has_confidence=model != "d", score=("y", 0)) for model in MODELS}

# -- conditions: a tree, its text, and its value for one row; None is "not known yet"


def text(node):
    kind = node[0]
    if kind == "always":
        return "always"
    if kind == "not":
        return f"!({text(node[1])})"
    if kind in ("&&", "||"):
        return "(" + f" {kind} ".join(text(part) for part in node[1]) + ")"
    if kind == "has":
        return f"has({node[1]})"
    if kind == "in":
        return f"{node[1]} in [{', '.join(literal(value) for value in node[2])}]"
    return f"{node[1]} {node[2]} {literal(node[3])}"


def literal(value):
    return (
        {True: "true", False: "false"}[value]
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else repr(value)
    )


def kind_of(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return None if math.isnan(value) else "number"
    return "text" if isinstance(value, str) else None


def compare(value, relation, other):
    if kind_of(value) is None or kind_of(value) != kind_of(other):
        return False
    return {
        "==": lambda: value == other,
        "!=": lambda: value != other,
        "<": lambda: value < other,
        "<=": lambda: value <= other,
        ">": lambda: value > other,
        ">=": lambda: value >= other,
    }[relation]()


ANSWER = ("confidence", "score", "model")


def holds(node, attributes, answer):  # noqa: PLR0911
    """`answer` is None while it is unknown, else {} or its values."""
    kind = node[0]
    if kind == "always":
        return True
    if kind == "not":
        inner = holds(node[1], attributes, answer)
        return None if inner is None else not inner
    if kind in ("&&", "||"):
        settles = kind == "||"
        values = [holds(part, attributes, answer) for part in node[1]]
        if settles in values:
            return settles
        return None if None in values else not settles
    name = node[1]
    if name in ANSWER and answer is None:
        return None
    value = (answer if name in ANSWER else attributes).get(name, MISSING)
    if kind == "has":
        return (
            value is not MISSING
            and value is not None
            and not (isinstance(value, float) and math.isnan(value))
        )
    if kind == "in":
        return any(compare(value, "==", other) for other in node[2])
    return compare(value, node[2], node[3])


# -- the interpreter


def place(salt, key):
    mask = 2**64 - 1
    z = int.from_bytes(blake2b(salt.encode(), digest_size=8).digest(), "little")
    z = (z + zlib.crc32(key.encode()) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) / 2**53


@dataclass
class Push:
    models: tuple
    combine: str
    route: str
    role: str
    on_error: str
    stands_in: bool = False
    asked: bool = False


@dataclass
class OneRow:
    table: RouteTable
    trees: list
    attributes: dict
    key: str
    world: dict
    row: int
    variant: str | None
    stack: list = field(default_factory=list)
    called: set = field(default_factory=set)
    causes: list = field(default_factory=list)
    doom: RowFailure | None = None
    degraded: bool = False
    shadows: list = field(default_factory=list)

    def ask(self, model):
        """(value, confidence) or a RowFailure."""
        self.called.add(model)
        outcome = self.world[model]
        if isinstance(outcome, Unreachable):
            return RowFailure(model, outcome.kind, outcome.reason)
        value = outcome[self.row]
        if isinstance(value, str):
            return RowFailure(model, "raised", value)
        return (value[0], float("nan")) if model == "d" else value

    def source(self, push):
        """What the push answers: {model, score, confidence} or a RowFailure; and whether members are lacking."""
        said = {model: self.ask(model) for model in push.models}
        good = {model: value for model, value in said.items() if not isinstance(value, RowFailure)}
        if not good:
            failures = list(said.values())
            return next((f for f in failures if f.kind != "raised"), failures[-1]), False
        if push.combine == "first" or len(push.models) == 1:
            model, (score, confidence) = next(iter(good.items()))
            return {"model": model, "score": score, "confidence": confidence}, model != push.models[0]
        how = {"mean": np.mean, "max": np.max, "min": np.min, "median": np.median}[push.combine]
        scores = np.array([score for score, _ in good.values()], np.float32)
        sure = np.array([confidence for _, confidence in good.values()], np.float32)
        answer = {"model": "+".join(good), "score": float(np.float32(how(scores.astype(np.float64))))}
        answer["confidence"] = float(np.float32(how(sure.astype(np.float64))))
        return answer, len(good) < len(push.models)

    def settled(self):
        """The answer on top, after what fails has fallen."""
        while self.stack:
            top = self.stack[-1]
            top.asked = True
            answer, lacking = self.source(top)
            if not isinstance(answer, RowFailure):
                self.degraded |= lacking
                return answer
            if top.on_error == "fail" and not top.stands_in:
                self.doom, self.stack = answer, []
                return {}
            self.degraded = True
            self.causes.append(answer)
            self.stack.pop()
            if top.on_error == "fallback" and not top.stands_in and self.table.fallback:
                self.stack.append(
                    Push((self.table.fallback,), "first", top.route, "fallback", "next", stands_in=True)
                )
        return {}

    def run(self):
        for route, tree in zip(self.table.routes, self.trees, strict=True):
            value = holds(tree, self.attributes, None)
            if value is None:
                value = holds(tree, self.attributes, self.settled())
            if self.doom:
                break
            if value:
                self.take(route)
                if route.final:
                    break
        answer = self.settled()
        if not answer and not self.doom and self.table.fallback:
            self.stack.append(Push((self.table.fallback,), "first", "fallback", "fallback", "next"))
            answer = self.settled()
        return answer

    def take(self, route):
        salt = f"{self.table.endpoint}/{route.name}"
        own = None
        on_trial = route.canary is not None and (
            self.variant == "canary" if self.variant else place(salt, self.key) < route.canary.percent / 100
        )
        if on_trial:
            self.stack.append(Push((route.canary.model,), "mean", route.name, "canary", route.on_error))
        elif route.send:
            own = Push(route.send, route.combine or "mean", route.name, "primary", route.on_error)
        elif route.split:
            at, model = 0.0, None
            for name, percent in route.split.shares:
                at += percent / 100
                model = name
                if place(salt, self.key) < at:
                    break
            own = Push((model,), "mean", route.name, "primary", route.on_error)
        elif self.stack:
            self.shadows += [
                (route, shadow, self.stack[-1]) for shadow in route.shadow if self.sees(salt, shadow)
            ]
            return
        if own:
            self.stack.append(own)
        self.shadows += [(route, shadow, own) for shadow in route.shadow if self.sees(salt, shadow)]

    def sees(self, salt, shadow):
        return place(f"{salt}/shadow/{shadow.model}", self.key) < shadow.percent / 100

    def failure(self):
        if self.doom:
            return self.doom
        if not self.causes:
            endpoint = self.table.endpoint
            return RowFailure(
                endpoint, "raised", f"no route of '{endpoint}' answered this row, and there is no fallback"
            )
        return next((cause for cause in self.causes if cause.kind != "raised"), self.causes[-1])

    def compared(self):
        """(shadow, route, primary's model, route, role, score) or (shadow, None) for each shadow that was to see it."""
        for route, shadow, primary in self.shadows:
            heard = primary is not None and all(model in self.called for model in primary.models)
            answer, _ = self.source(primary) if heard else (None, False)
            failed = shadow.model in self.called and isinstance(self.ask(shadow.model), RowFailure)
            if failed or not isinstance(answer, dict) or (len(primary.models) > 1 and not primary.asked):
                yield (shadow.model, None)
            else:
                yield (
                    shadow.model,
                    route.name,
                    answer["model"],
                    primary.route,
                    primary.role,
                    answer["score"],
                )


# -- random tables and worlds

numbers = st.sampled_from([0, 1, 2, 0.25, 0.5, 0.75, -1])
values = st.one_of(numbers, st.booleans(), st.sampled_from(["x", "true", ""]))
cells = st.one_of(values, st.just(MISSING), st.none(), st.just(float("nan")), st.just([1]))
relations = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
leaves = st.one_of(
    st.just(("always",)),
    st.tuples(st.just("cmp"), st.sampled_from(["confidence", "score"]), relations, numbers),
    st.tuples(
        st.just("cmp"), st.just("model"), st.sampled_from(["==", "!="]), st.sampled_from(["a", "b", "a+b"])
    ),
    st.tuples(st.just("cmp"), st.sampled_from(["p", "q.r"]), st.sampled_from(["==", "!="]), values),
    st.tuples(st.just("cmp"), st.sampled_from(["p", "q.r"]), relations, numbers),
    st.tuples(st.just("in"), st.sampled_from(["p", "q.r"]), st.lists(values, min_size=1, max_size=3)),
    st.tuples(st.just("has"), st.sampled_from(["p", "q.r", "confidence", "model"])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["&&", "||"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=4,
)
percents = st.sampled_from([0, 5, 50, 95, 100])


@st.composite
def routes(draw, name):
    tree = draw(trees)
    answer = draw(st.sampled_from(["send", "send", "several", "split", "none"]))
    route = Route(
        name,
        compile_when(text(tree)),
        send={
            "send": (draw(st.sampled_from(MODELS)),),
            "several": ("a", "b", "c")[: draw(st.integers(2, 3))],
        }.get(answer, ()),
        combine=draw(st.sampled_from(["mean", "max", "min", "median", "first"]))
        if answer == "several"
        else None,
        split=Split((("a", 20), ("b", 50), ("c", 30))) if answer == "split" else None,
        canary=Canary(draw(st.sampled_from(MODELS)), draw(percents))
        if answer != "split" and draw(st.booleans())
        else None,
        shadow=tuple(
            ShadowRule(m, draw(percents)) for m in draw(st.sampled_from([(), (), ("d",), ("s", "b")]))
        ),
        final=draw(st.sampled_from([False, False, False, True])),
        on_error=draw(st.sampled_from(["next", "next", "fallback", "fail"])),
    )
    return tree, route


@st.composite
def worlds(draw):
    count = draw(st.integers(1, 4))
    pairs = [draw(routes(f"r{number}")) for number in range(count)]
    n = draw(st.integers(1, 6))
    outcome = st.one_of(
        st.tuples(numbers.map(float), numbers.map(float)),
        st.sampled_from(["ValueError: bad", "TypeError: worse"]),
    )
    world = {
        model: draw(
            st.one_of(
                st.lists(outcome, min_size=n, max_size=n),
                st.lists(outcome, min_size=n, max_size=n),
                st.sampled_from([Unreachable("away", "gone"), Unreachable("deadline", "late")]),
            )
        )
        for model in MODELS
    }
    table = RouteTable(
        "e",
        tuple(route for _, route in pairs),
        fallback=draw(st.sampled_from([None, "d", "a"])),
        variants_allowed=draw(st.booleans()),
    )
    attributes = {name: draw(st.lists(cells, min_size=n, max_size=n)) for name in ("p", "q.r")}
    keys = [f"k{draw(st.integers(0, 10_000))}" for _ in range(n)]
    return (
        table,
        [tree for tree, _ in pairs],
        world,
        attributes,
        keys,
        draw(st.sampled_from([None, None, "canary", "primary"])),
    )


def scored(world, call):
    outcome = world[call.model]
    if isinstance(outcome, Unreachable):
        return outcome
    rows = [outcome[row] for row in call.rows.tolist()]
    failed = {at: value for at, value in enumerate(rows) if isinstance(value, str)}
    filled = [(0.0, 0.0) if isinstance(value, str) else value for value in rows]
    outputs = {"y": np.array([[score] for score, _ in filled], np.float32)}
    confidence = None if call.model == "d" else np.array([sure for _, sure in filled], np.float32)
    return Scored({} if len(failed) == len(rows) else outputs, confidence, "1", failed)


def drive(table, world, attributes, keys, variant):
    batch = Batch({"x": np.zeros((len(keys), 1))}, [f"id{key}" for key in keys], keys, attributes)
    steps, asked = cascade(table, FACTS, batch, variant), []
    try:
        step = next(steps)
        while True:
            assert step.calls
            for call in step.calls:
                assert (np.diff(call.rows) > 0).all()
                asked += [(call.model, row) for row in call.rows.tolist()]
            step = steps.send([scored(world, call) for call in step.calls])
    except StopIteration as done:
        return done.value, asked


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_every_row_is_answered_as_if_it_were_alone(case):
    table, condition_trees, world, attributes, keys, variant = case
    result, asked = drive(table, world, attributes, keys, variant)
    answer = result.answer
    assert len(asked) == len(set(asked))
    honoured = variant if table.variants_allowed else None
    skipped: dict[str, int] = {}
    compared = set()
    for row, key in enumerate(keys):
        one = OneRow(
            table,
            condition_trees,
            {name: cells_[row] for name, cells_ in attributes.items()},
            key,
            world,
            row,
            honoured,
        )
        expected = one.run()
        assert {model for model, at in asked if at == row} == one.called
        if expected:
            origin = answer.origins[answer.origin_of[row]]
            top = one.stack[-1]
            assert (origin.model, origin.route, origin.role) == (expected["model"], top.route, top.role)
            assert answer.outputs["y"][row, 0] == np.float32(expected["score"])
            sure = answer.confidence[row] if answer.confidence is not None else float("nan")
            assert same(float(sure), expected["confidence"])
            assert bool(answer.degraded[row]) == one.degraded
            assert row not in answer.failed
        else:
            assert answer.failed[row] == one.failure()
            assert answer.origin_of[row] == -1
            assert not answer.degraded[row]
        for entry in one.compared():
            if entry[1] is None:
                skipped[entry[0]] = skipped.get(entry[0], 0) + 1
            else:
                compared.add((row, *entry))
    assert dict(result.shadows_skipped) == skipped
    assert {
        (
            row,
            call.model,
            call.route,
            call.primary_origin.model,
            call.primary_origin.route,
            call.primary_origin.role,
            score,
        )
        for call in result.shadows
        for row, score in zip(call.rows.tolist(), call.primary_outputs["y"][:, 0].tolist(), strict=True)
    } == compared
