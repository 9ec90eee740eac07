"""The last section: where the report comes from, and how far each estimate in it may be off."""

from __future__ import annotations

from typing import Any

from raypipe.blocks.profile import ColumnProfile
from raypipe.dashboard import numbers
from raypipe.dashboard.inputs import Approximation, DashboardInput


def about_section(given: DashboardInput) -> dict[str, Any]:
    """Facts of the run, and every approximation with its bound."""
    origin = given.origin()
    facts = [
        ("Run", origin.run_id),
        ("raypipe", origin.version),
        ("Engine", origin.engine),
        ("Source", origin.source),
        ("Made", numbers.clock(origin.created) if origin.created else None),
        ("Rows read", None if origin.rows_read is None else numbers.count(origin.rows_read)),
        ("Duration", None if origin.seconds is None else numbers.seconds(origin.seconds)),
        ("Seed", None if origin.seed is None else str(origin.seed)),
        *origin.further.items(),
    ]
    return {
        "facts": [(name, value) for name, value in facts if value],
        "approximations": [*origin.approximations, *_estimates(given)],
    }


def _estimates(given: DashboardInput) -> list[Approximation]:
    columns = given.profile.columns
    distinct = [c.distinct.relative_error for c in columns if c.distinct and not c.distinct.exact]
    ranks = [
        c.number.quantiles.rank_error
        for c in columns
        if c.number and c.number.quantiles and not c.number.quantiles.exact
    ]
    tops = sum(not column.top_exact for column in columns)
    made = []
    if distinct:
        made.append(("Distinct values", distinct, f"standard error ± {numbers.share(max(distinct))} (HyperLogLog)"))
    if ranks:
        made.append(
            (
                "Quantiles and histograms",
                ranks,
                f"rank error {numbers.share(max(ranks))} of the rows, never more",
            )
        )
    listed = [
        Approximation(what=f"{what} of {_amount(len(errors), columns)}", bound=bound) for what, errors, bound in made
    ]
    if tops:
        listed.append(
            Approximation(
                what=f"Top values of {_amount(tops, columns)}",
                bound="each count lies between the two bounds shown with it",
            )
        )
    if (duplicates := given.profile.duplicates) is not None and not duplicates.exact:
        bound = f"share at most {numbers.share(duplicates.share_upper)} at 99 % confidence"
        listed.append(Approximation(what="Duplicate rows", bound=bound))
    return listed


def _amount(part: int, columns: tuple[ColumnProfile, ...]) -> str:
    return f"{part:,} of {len(columns):,} columns"
