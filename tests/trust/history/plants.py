"""Wrong histories, made from right ones: each breaks what no order of the acts can explain.

Only what certainly holds is broken: a claim is certain for an act if it was answered before the act was
called and nobody asked to change it before the act came back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.trust.history.model import Model, Op


def oversold(ops: Sequence[Op], model: Model) -> list[Op] | None:
    """A refused booking is answered as granted, where those that stand there certainly leave no room."""
    for index, op in enumerate(ops):
        if (
            op.act == "book"
            and op.answer == "no"
            and _certain(ops, op, model).after(op._replace(answer="ok")) is None
        ):
            later = [o._replace(generation=o.generation + (o.generation > op.generation)) for o in ops]
            later[index] = op._replace(
                answer="ok", booking="planted", generation=op.generation + 1, wrote=True
            )
            return later
    return None


def reordered(ops: Sequence[Op], model: Model) -> list[Op] | None:
    """The answers of a booking and of a later change of it change places."""
    booked = {op.booking: index for index, op in enumerate(ops) if op.act == "book" and op.answer == "ok"}
    for later, op in enumerate(ops):
        first = booked.get(op.booking)
        if first is None or op.act not in ("confirm", "move") or op.answer == "gone":
            continue
        if ops[first].back < op.call:
            wrong = list(ops)
            wrong[first], wrong[later] = _placed(ops[first], op), _placed(op, ops[first])
            return wrong
    return None


def stale(ops: Sequence[Op], model: Model) -> list[Op] | None:
    """A look shows what was free at the very beginning."""
    first = min(op.generation for op in ops) - 1
    for index, op in enumerate(ops):
        if op.act != "look":
            continue
        old = op._replace(given=tuple(cores // 2 for cores in model.physical), generation=first)
        if _certain(ops, op, model).after(old) is None:
            return [*ops[:index], old, *ops[index + 1 :]]
    return None


PLANTS: dict[str, Callable[[Sequence[Op], Model], list[Op] | None]] = {
    "one oversold": oversold,
    "one reordered": reordered,
    "one stale look": stale,
}


def _placed(op: Op, other: Op) -> Op:
    """An act at the time and generation of another."""
    return op._replace(
        call=other.call, back=other.back, generation=other.generation, at=other.at, wrote=other.wrote
    )


def _certain(ops: Sequence[Op], op: Op, model: Model) -> Model:
    """The model with the claims alone that certainly stand while the act is decided."""
    changed = {o.booking for o in ops if o.act in ("cancel", "move") and o.call < op.back}
    claims = {
        o.booking: o.claim
        for o in ops
        if o.act == "book" and o.answer == "ok" and o.back < op.call and o.booking not in changed
    }
    return Model(model.physical, model.ratio, claims)
