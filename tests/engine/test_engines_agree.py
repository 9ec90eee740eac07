"""The law of engines: the result depends neither on the engine, nor on the workers, nor on how rows are cut."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import EngineConfig
from raypipe.engine.inline import InlineEngine
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.engine.session import Session
from raypipe.stage import Plan
from tests.engine.stages import AddTo, FailOn, KeepEven, Numbers, SetAsideMultiples, SumX

PLAN = Plan(
    source=Numbers(rows=2000, per_part=90),
    stages=(AddTo(amount=1), SetAsideMultiples(of=10), FailOn(values=(17, 1999)), KeepEven(), SumX()),
)


def essence(outcome: Outcome, asides: list[tuple[str, str, int, str]]) -> dict[str, object]:
    """Everything of an outcome that must not depend on the engine."""
    assert outcome.frame is not None
    counts = {
        name: (
            tally.rows_in,
            tally.rows_out,
            tally.rows_aside,
            tally.rows_failed,
            tally.rows_dropped,
            dict(tally.counts),
        )
        for name, tally in outcome.tallies.items()
    }
    return {"results": outcome.results, "counts": counts, "rows": outcome.frame.to_arrow(), "asides": asides}


def run(engine: Engine, plan: Plan) -> dict[str, object]:
    asides: list[tuple[str, str, int, str]] = []

    def on_aside(stage: str, part: object, rows: object) -> None:
        for row in rows.to_pylist():  # type: ignore[attr-defined]
            asides.append((stage, part.id, row["row"], row["reason"]))  # type: ignore[attr-defined]

    outcome = engine.run(Pass(plan, keep=True, on_aside=on_aside))
    return essence(outcome, asides)


REFERENCE = run(InlineEngine(EngineConfig()), PLAN)


def test_the_reference_is_what_arithmetic_says() -> None:
    kept = [x for x in range(1, 2001) if x % 10 and x not in (17, 1999) and x % 2 == 0]
    assert REFERENCE["rows"]["x"].to_pylist() == kept  # type: ignore[index]
    assert REFERENCE["results"]["SumX"]["sum"] == sum(kept)  # type: ignore[index]
    assert len(REFERENCE["asides"]) == 200 + 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("workers", "fuse"),
    [(1, True), (2, True), (4, True), (2, False), *(pytest.param(n, False, marks=pytest.mark.slow) for n in (1, 4))],
)
def test_ray_equals_inline_for_any_number_of_workers(ray_session: Session, workers: int, fuse: bool) -> None:
    assert run(RayEngine(EngineConfig(workers=workers, fuse=fuse)), PLAN) == REFERENCE


@pytest.mark.parametrize("block_rows", [1, 7, 90, 100_000])
def test_ray_equals_inline_for_any_size_of_block(ray_session: Session, block_rows: int) -> None:
    assert run(RayEngine(EngineConfig(workers=2, block_rows=block_rows)), PLAN) == REFERENCE


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(per_part=st.integers(1, 400), block_rows=st.none() | st.integers(1, 500))
def test_inline_does_not_depend_on_parts_and_cuts(per_part: int, block_rows: int | None) -> None:
    plan = PLAN.replace(source=Numbers(rows=300, per_part=per_part))
    whole = run(InlineEngine(EngineConfig(max_failed_share=0.5)), PLAN.replace(source=Numbers(rows=300, per_part=300)))
    cut = run(InlineEngine(EngineConfig(block_rows=block_rows, max_failed_share=0.5)), plan)
    assert cut["rows"] == whole["rows"]
    assert cut["counts"] == whole["counts"]
    # Rows are numbered within their parts, which differ; what was said of them must not.
    assert [entry[::3] for entry in sorted(cut["asides"])] == [entry[::3] for entry in sorted(whole["asides"])]  # type: ignore[call-overload]
    assert cut["results"]["SumX"]["sum"] == whole["results"]["SumX"]["sum"]  # type: ignore[index]


def test_a_source_without_rows_gives_empty_results(engine: Engine) -> None:
    outcome = engine.run(Pass(PLAN.replace(source=Numbers(rows=0)), keep=True))
    assert outcome.rows_in == outcome.rows_out == 0
    assert outcome.results["SumX"] == {"sum": 0, "rows": 0, "parts": []}
    assert outcome.frame is not None
    assert outcome.frame.to_arrow().schema.names == ["x", "word"]


def test_a_second_pass_over_the_frame_sees_what_the_first_one_left(engine: Engine) -> None:
    first = engine.run(Pass(PLAN, keep=True))
    assert first.frame is not None
    follow = Plan(source=PLAN.source, prefix=first.frame.prefix, stages=(AddTo(amount=5), SumX()))
    second = engine.run(Pass(follow, frame=first.frame, keep=True))
    assert second.rows_in == first.rows_out
    assert second.results["SumX"]["sum"] == first.results["SumX"]["sum"] + 5 * first.rows_out
    first.frame.release()
    again = engine.run(Pass(follow, frame=first.frame))
    assert again.results == second.results


def test_blocks_that_found_no_room_are_made_again_with_the_same_result(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("ray_session")
    tight = RayEngine(EngineConfig(memory_gib=1e-6))
    first = tight.run(Pass(PLAN, keep=True))
    assert first.frame is not None
    assert first.frame.to_arrow() == REFERENCE["rows"]
    follow = Plan(source=PLAN.source, prefix=first.frame.prefix, stages=(SumX(),))
    assert tight.run(Pass(follow, frame=first.frame)).results == REFERENCE["results"]


def test_a_frame_maps_blocks_and_shows_its_head(engine: Engine) -> None:
    outcome = engine.run(Pass(Plan(source=Numbers(rows=100, per_part=30)), keep=True))
    assert outcome.frame is not None
    doubled = outcome.frame.map_blocks(lambda block: block.append_column("twice", block["x"]))
    assert doubled.head(35)["twice"].to_pylist() == list(range(35))
    assert len(doubled) == 100
    assert doubled.to_polars().columns == ["x", "word", "twice"]


def test_workers_stay_warm_between_passes(ray_session: Session) -> None:
    engine = RayEngine(EngineConfig(workers=2))
    pids: list[set[int]] = []
    for _ in range(2):
        seen: set[int] = set()
        work = Pass(PLAN)
        work.events.emit = lambda event, _seen=seen, **fields: _seen.add(fields["pid"]) if "pid" in fields else None  # type: ignore[method-assign]
        engine.run(work)
        pids.append(seen)
    assert pids[0] & pids[1]
