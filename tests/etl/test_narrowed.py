"""A pass that looks at few columns reads no others, and sees in them what it would have seen anyway."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.engine.run import Engine, Pass
from raypipe.errors import ConfigError
from raypipe.etl.reader import DataReader
from raypipe.etl.source import TableSource
from raypipe.etl.steps.empty import DropEmptyColumns, DropEmptyRows
from raypipe.etl.steps.impute import Fill, Impute
from raypipe.etl.steps.outliers import CapOutliers, Fence
from raypipe.etl.steps.trim import TrimText
from raypipe.insights.statistics.tails import CountTails, Ends
from raypipe.stage import MapStage, Plan, Sifted

TABLE = pa.table(
    {
        "number": pa.array([1.0, None, 250.0, -3.0] * 25),
        "price": pa.array([Decimal("1.50"), None, Decimal("2.25"), Decimal("0.00")] * 25, pa.decimal128(9, 2)),
        "text": pa.array([" a", "b ", None, ""] * 25, pa.large_string()),
        "empty": pa.nulls(100, pa.float64()),
    }
)
STEPS: tuple[MapStage, ...] = (
    TrimText(columns=("text",)),
    DropEmptyColumns(columns=("empty",)),
    Impute(
        fills=(Fill(column="number", value=0.5, strategy="median"), Fill(column="text", value="?", strategy="mode"))
    ),
    CapOutliers(fences=(Fence(column="number", low=-1.0, high=100.0),)),
)
columns = st.frozensets(st.sampled_from(TABLE.column_names))


def applied(step: MapStage, block: pa.Table) -> pa.Table:
    made = step.open()(block)
    return made.block if isinstance(made, Sifted) else made


def source(folder: Path) -> TableSource:
    """Two files in folders that name a further column, the second without one of the others."""
    for year, table in ((2023, TABLE), (2024, TABLE.drop_columns(["price"]))):
        path = folder / f"year={year}" / "rows.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=30)
    return DataReader(folder).source(target_part_bytes=900)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@given(wanted=columns)
def test_a_step_for_some_columns_does_to_them_what_it_does_to_them_among_all(
    step: MapStage, wanted: frozenset[str]
) -> None:
    left = [name for name in applied(step, TABLE).column_names if name in wanted]
    narrow = step.of_columns(wanted)
    block = TABLE.select([name for name in TABLE.column_names if name in wanted])
    made = block if narrow is None else applied(narrow, block)
    assert made.select(left).equals(applied(step, TABLE).select(left))


def test_a_stage_whose_columns_hang_together_cannot_be_narrowed() -> None:
    with pytest.raises(ConfigError, match="only stages that work by column"):
        DropEmptyRows().of_columns(frozenset({"a"}))


def test_reading_some_columns_gives_the_same_parts_with_those_columns(tmp_path: Path) -> None:
    whole = source(tmp_path)
    assert whole.is_quick
    names = whole.schema().names
    assert "year" in names
    for wanted in ({"year"}, {"price"}, {"text", "year"}, set(names), {"number", "empty", "price"}):
        narrow = whole.narrowed(frozenset(wanted))
        kept = [name for name in names if name in wanted]
        assert narrow.schema().names == kept
        assert [part.id for part in narrow.parts()] == [part.id for part in whole.parts()]
        read, read_all = narrow.open(), whole.open()
        for part in whole.parts():
            assert read(part).block.equals(read_all(part).block.select(kept))


def test_a_plan_reads_what_its_stages_look_at_if_nothing_before_them_needs_more(tmp_path: Path) -> None:
    tails = CountTails(ends=(Ends(column="number", iqr=(0.0, 2.0)),))
    plan = Plan(source=source(tmp_path), prefix=STEPS, stages=(tails,))
    narrow = plan.narrowed()
    assert narrow.source.schema().names == ["number"]
    assert [stage.name for stage in narrow.prefix] == ["Impute", "CapOutliers"]
    hangs = Plan(source=plan.source, prefix=(DropEmptyRows(),), stages=(tails,))
    assert hangs.narrowed() is hangs
    assert not hangs.is_quick
    assert plan.is_quick


def test_blocks_of_a_quick_plan_are_made_again_and_not_kept_and_a_later_pass_finds_the_same(
    tmp_path: Path, engine: Engine
) -> None:
    tails = CountTails(ends=(Ends(column="number", iqr=(0.0, 2.0)), Ends(column="price")))
    first = engine.run(Pass(Plan(source=source(tmp_path), stages=(STEPS[0], STEPS[2])), keep=True))
    assert first.store_peak_bytes == 0
    assert first.frame is not None
    again = Plan(source=first.frame.source, prefix=first.frame.prefix, stages=(tails,))
    found = [engine.run(Pass(plan, frame=first.frame)) for plan in (again, again.narrowed())]
    assert (found[1].bytes_read < found[0].bytes_read) == (engine.name == "ray")  # inline, blocks are at hand
    assert found[0].results == found[1].results
    assert first.frame.to_arrow().num_rows == 200


def test_text_files_are_not_quick_and_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    read = DataReader(tmp_path / "a.csv").source()
    assert not read.is_quick
    plan = Plan(source=read, stages=(CountTails(ends=(Ends(column="a"),)),))
    assert plan.narrowed() is plan
