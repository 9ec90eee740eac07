"""The stages that hold every row to the row rules: one counts, one sets aside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa
from pydantic import SerializeAsAny, field_validator

from raypipe.blocks.frames import ROW
from raypipe.etl.aside import NONE_WITH_RULES, VALUE_CHARS, Fault, as_text, numbered, set_aside
from raypipe.etl.rules.masks import Masks, first_places, masks_of, rule_lists
from raypipe.etl.rules.registry import rule_class
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.rules.segments import SegmentKeys, SegmentTally, segment_keys
from raypipe.results import FaultyRow
from raypipe.stage import BlockStage, ReduceStage, Sifted

EXAMPLES = 5
"""Rows at fault that are told of each rule."""
SET_ASIDE = "rules:set_aside"


@dataclass
class RuleCount:
    """What one row rule found."""

    rows: int = 0
    """Rows that it looked at."""
    failing: int = 0
    first: list[FaultyRow] = field(default_factory=list)
    """The first few at fault."""
    segments: SegmentTally = field(default_factory=SegmentTally)


@dataclass
class RowCounts:
    """What all row rules found in the blocks so far."""

    rows: int = 0
    at_fault: int = 0
    """Rows that break at least one rule."""
    rules: dict[int, RuleCount] = field(default_factory=dict)
    """Place of the rule -> what it found."""
    unfit: dict[int, str] = field(default_factory=dict)
    """Place of a rule that could not be held -> why."""


class CountFaults(ReduceStage):
    """Count, for each row rule, the rows that break it, and keep the first few of them."""

    rules: tuple[SerializeAsAny[RowRule], ...]

    def partial(self, block: pa.Table, part: str) -> RowCounts:
        masks = masks_of(self.rules, block)
        found = RowCounts(rows=block.num_rows, at_fault=_any(masks), unfit=dict(masks.unfit))
        keys = _keys(self.rules, block)
        for n, index in enumerate(masks.live):
            rule = self.rules[index]
            count = RuleCount(masks.looked_at[n], masks.failing[n])
            if count.failing:
                count.first = _examples(rule, masks.broken[n], block, part)
            if rule.segments and rule.segments in keys:
                count.segments = SegmentTally.of(keys[rule.segments], masks.broken[n], masks.within[n])
            found.rules[index] = count
        return found

    def merge(self, a: RowCounts, b: RowCounts) -> RowCounts:
        a.rows += b.rows
        a.at_fault += b.at_fault
        a.unfit |= b.unfit
        for index, theirs in b.rules.items():
            ours = a.rules.setdefault(index, RuleCount())
            ours.rows += theirs.rows
            ours.failing += theirs.failing
            ours.first = sorted([*ours.first, *theirs.first], key=lambda row: (row.part, row.row))[:EXAMPLES]
            ours.segments = ours.segments.merge(theirs.segments)
        return a

    def finish(self, state: RowCounts) -> RowCounts:
        return state


class SetFaultsAside(BlockStage):
    """Set rows aside that break a rule whose action is `quarantine`, each with all rules that it breaks."""

    rules: tuple[SerializeAsAny[RowRule], ...]
    """All row rules, as `CountFaults` has them."""

    @field_validator("rules", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        """Rules as plain values, as a run keeps them for a replay, are made again by their names."""
        if not isinstance(value, list):
            return value
        return tuple(
            rule_class(str(one.get("rule"))).model_validate(one) if isinstance(one, dict) else one for one in value
        )

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> Sifted:
        masks = masks_of(self.rules, block)
        acting = [n for n, index in enumerate(masks.live) if self.rules[index].action == "quarantine"]
        if not any(masks.failing[n] for n in acting):
            return Sifted(block, NONE_WITH_RULES)
        frame = pl.DataFrame([masks.broken[n].alias(f"b{n}") for n in acting])
        bad = frame.select(pl.any_horizontal(pl.all())).to_series()
        picks = [pl.when(pl.col(f"b{n}")).then(pl.lit(n, pl.UInt32)) for n in acting]
        first = frame.filter(bad).select(pl.coalesce(picks)).to_series()
        rules = [self.rules[index] for index in masks.live]
        rows = numbered(block).filter(bad.to_arrow())
        faults = [Fault(rule.looks_at()[0], f"{rule.rule}: wanted {rule.wanted}") for rule in rules]
        lists = rule_lists([mask.filter(bad) for mask in masks.broken], [rule.id for rule in rules])
        return Sifted(block.filter((~bad).to_arrow()), set_aside(rows, first, faults, lists), {SET_ASIDE: len(first)})


def _any(masks: Masks) -> int:
    broken = [mask for mask, failing in zip(masks.broken, masks.failing, strict=True) if failing]
    if not broken:
        return 0
    frame = pl.DataFrame([mask.alias(f"b{n}") for n, mask in enumerate(broken)])
    return int(frame.select(pl.any_horizontal(pl.all()).sum()).item())


def _keys(rules: Sequence[RowRule], block: pa.Table) -> dict[tuple[str, ...], SegmentKeys]:
    wanted = {rule.segments for rule in rules if rule.segments}
    names = set(block.column_names)
    return {columns: segment_keys(block, columns) for columns in sorted(wanted) if set(columns) <= names}


def _examples(rule: RowRule, mask: pl.Series, block: pa.Table, part: str) -> list[FaultyRow]:
    places = first_places(mask, EXAMPLES)
    names = [name for name in rule.looks_at() if name in block.column_names]
    numbers = block[ROW] if ROW in block.column_names else None
    rows = places if numbers is None else [numbers[place].as_py() for place in places]
    # Slices, since taking from a column of several chunks joins them first.
    cells = pa.concat_tables([block.select(names).slice(place, 1) for place in places])
    return [FaultyRow(part=part, row=r, value=v) for r, v in zip(rows, _values(names, cells), strict=True)]


def _cut(text: str | None) -> str | None:
    """As `shortened`, for the few values for which a call of Polars would take longer."""
    return text if text is None or len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}…"


def _values(names: Sequence[str], rows: pa.Table) -> Iterator[str | None]:
    """The cells of these columns as text."""
    texts = [[_cut(text) for text in as_text(pl.Series("", pl.from_arrow(rows[name])))] for name in names]
    if len(names) == 1:
        yield from texts[0]
        return
    for values in zip(*texts, strict=True) if texts else [()] * rows.num_rows:
        yield json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False)
