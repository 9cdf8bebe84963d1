"""The checks of histories: they accept what is right and reject what was planted; then a few real ones."""

from __future__ import annotations

import random

import pytest

from tests.trust.history import proof
from tests.trust.history.blackbox import linearizable
from tests.trust.history.model import Claim, Model, Op
from tests.trust.history.plants import PLANTS
from tests.trust.history.witness import unexplained
from tests.trust.proof import Scale
from tests.trust.race.course import KINDS

MODEL = Model((4,) * 4, 1500)
WIDTH = 2.5
"""How long before and after its moment an act may be called and come back, in acts."""


def drawn(seed: int, length: int) -> list[Op]:
    """A right history: acts one after another, each called some time before and back some time after."""
    rng = random.Random(seed)
    model, generation, ops = MODEL, 0, []
    for moment in range(length):
        act = rng.choice(("book", "book", "book", "move", "confirm", "cancel", "look"))
        start = rng.randrange(4)
        claim = Claim(start, rng.randint(start + 1, 4), rng.choice((2, 4)), rng.random() < 0.4)
        booking = str(moment) if act == "book" else str(rng.randrange(moment + 1))
        call, back = moment - rng.random() * WIDTH, moment + rng.random() * WIDTH
        free = tuple(max(0, n) // 2 for n in model._free(model.claims))
        asked = Op(act, "", call, back, generation, False, moment, 0, "few", booking, claim, given=free)
        op, after = answered(model, asked)
        if after != model:
            generation += 1
            op = op._replace(generation=generation, wrote=True)
        ops.append(op)
        model = after
    rng.shuffle(ops)
    return ops


def answered(model: Model, op: Op) -> tuple[Op, Model]:
    """The act with the answer that the model can give."""
    for answer in ("ok", "no", "gone"):
        after = model.after(op._replace(answer=answer))
        if after is not None:
            return op._replace(answer=answer), after
    raise AssertionError(f"nothing can be answered to {op}")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_right_is_accepted(seed: int) -> None:
    ops = drawn(seed, 120)
    assert unexplained(ops, {"few": MODEL}) == []
    assert linearizable(ops, MODEL)


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_planted_is_rejected(name: str) -> None:
    planted = 0
    for seed in range(20):
        wrong = PLANTS[name](drawn(seed, 80), MODEL)
        if wrong is not None:
            planted += 1
            assert unexplained(wrong, {"few": MODEL})
            assert not linearizable(wrong, MODEL)
    assert planted >= 10


def test_two_acts_that_wrote_one_generation_are_rejected() -> None:
    first, second = (
        Op("book", "ok", call, call + 1, 1, True, call, 0, "few", str(call), Claim(0, 1, 2))
        for call in (1, 2)
    )
    assert "two acts wrote generation 1" in unexplained([first, second], {"few": MODEL})[0]
    assert linearizable([first, second], MODEL)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_histories_hold(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "KINDS", (kind,))
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, (finding.faults, [figure for figure in finding.figures if not figure.ok])
