"""What pydantic found wrong with a value, as places and plain words; typos come with the nearest name."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from raypipe.cluster.names import did_you_mean


class Problem(NamedTuple):
    """One thing that does not fit a model."""

    place: tuple[str | int, ...]
    """Keys and indices from the root to the key at fault."""
    what: str
    advice: str
    unknown: bool
    """It is a key that the model does not have."""
    is_key: bool = False
    """It is about a key, not about a value: one too many, or one too few."""


def problems_of(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Every problem in `error`, in the order of the model."""
    found = [dict(item) for item in error.errors(include_url=False)]
    inner: list[Any] = [item["loc"] for item in found]
    # A list whose items are all wrong counts as too short, too; that would only say it twice.
    told = [
        item for item in found if item["type"] != "too_short" or not any(_within(loc, item["loc"]) for loc in inner)
    ]
    return [_problem(model, item) for item in told]


def _within(inner: Any, outer: Any) -> bool:
    return bool(len(inner) > len(outer) and inner[: len(outer)] == outer)


def _problem(model: type[BaseModel], item: dict[str, Any]) -> Problem:
    place = tuple(step for step in item["loc"] if not _is_tag(step))
    if item["type"] == "extra_forbidden":
        name = str(place[-1])
        return Problem(place, f"there is no key {name!r}", did_you_mean(name, keys_at(model, place[:-1])), True, True)
    if item["type"] == "missing":
        return Problem(place, f"{place[-1]!r} is missing", f"add {place[-1]}", False, True)
    said = item["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    shown = "" if isinstance(item.get("input"), (dict, list)) else f"got {item.get('input')!r}; "
    wanted = (item.get("ctx") or {}).get("expected")
    advice = f"write {wanted}" if item["type"] == "literal_error" else f"mend the value: {said}"
    return Problem(place, shown + said, advice, False)


def _is_tag(step: str | int) -> bool:
    """Names of union members, which pydantic puts into the place."""
    return isinstance(step, str) and (step in {"str", "int", "bool", "float"} or "[" in step or "-" in step[:1])


def keys_at(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """Keys, by the names they have in a file, of the nested model that `place` leads to."""
    for step in place:
        if isinstance(step, int):
            continue
        found = _field(model, step)
        nested = _models(found) if found is not None else []
        if not nested:
            return []
        model = nested[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], name: str) -> Any:
    for own, field in model.model_fields.items():
        if name in (own, field.alias):
            return field.annotation
    return None


def _models(kind: Any) -> list[type[BaseModel]]:
    """Models anywhere inside of a type: `tuple[Pool, ...]`, `Pool | None`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]
