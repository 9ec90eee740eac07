"""How many passes a list takes, and by which rule."""

import pyarrow as pa
import pytest

from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.processing.course import rehearse, wishes_of
from tests.etl.steps.lists import BARE, applied

TABLE = pa.table(
    {
        "a": [1.0, None, 3.0, 8.0],
        "b": [2.0, 4.0, None, 1.0],
        "c": [5, 6, 7, 8],
        "city": pa.array(["Ulm", "Bonn", None, "Ulm"], pa.large_string()),
    }
)
FILL_A = {"step": "fill_missing", "columns": "a", "method": "mean"}
SCALE_A, SCALE_B = {"step": "scale", "columns": "a"}, {"step": "scale", "columns": "b"}
SCALE_ALL = {"step": "scale", "columns": "kind:numbers", "name": "all"}
ONE_HOT = {"step": "encode_one_hot", "columns": "city"}


def rehearsed(*steps, table=TABLE):
    config = ProcessingConfig.model_validate({**BARE, "steps": steps})
    return rehearse(wishes_of(config.steps), table.schema)


@pytest.mark.parametrize(
    ("steps", "rounds"),
    [
        ([], []),
        ([{"step": "filter_rows", "keep": "a > 0"}, {"step": "flag_missing", "columns": "a"}], []),
        ([FILL_A], [("fill_missing",)]),
        # Another column: both are fitted in one pass.
        ([FILL_A, SCALE_B], [("fill_missing", "scale")]),
        # The same column: the second needs what the first left.
        ([FILL_A, SCALE_A], [("fill_missing",), ("scale",)]),
        ([FILL_A, SCALE_A, SCALE_B], [("fill_missing",), ("scale", "scale 2")]),
        # Steps that learn nothing take no pass, and hold up only what they change.
        ([FILL_A, {"step": "convert_units", "columns": "b", "source": "kg", "to": "g"}, SCALE_B],
         [("fill_missing",), ("scale",)]),
        # A step that waits gives the column another type first.
        ([{"step": "encode_label", "columns": "city", "replace_column": True},
          {"step": "convert_units", "columns": "city", "source": "kg", "to": "g"}], [("encode_label",)]),
        # Rows may go: what follows waits.
        ([{"step": "drop_duplicates", "by": "city"}, SCALE_B], [("drop_duplicates",), ("scale",)]),
        ([{"step": "outliers", "columns": "a", "action": "quarantine"}, SCALE_B], [("outliers",), ("scale",)]),
        ([{"step": "outliers", "columns": "a", "action": "cap"}, SCALE_B], [("outliers", "scale")]),
        # By kind, after a step that makes columns: which ones there are has to be known.
        ([ONE_HOT, SCALE_ALL], [("encode_one_hot",), ("all",)]),
        ([ONE_HOT, SCALE_B], [("encode_one_hot", "scale")]),
        ([FILL_A, {"step": "drop_duplicates"}], [("fill_missing",), ("drop_duplicates",)]),
    ],
)  # fmt: skip
def test_a_pass_fits_what_does_not_depend_on_steps_that_wait_and_runs_are_as_foreseen(steps, rounds):
    plan = rehearsed(*steps)
    assert list(plan.rounds) == rounds
    assert applied(TABLE, steps, (2, 2)).passes == len(rounds) + bool(steps and not rounds) + bool(rounds)
    assert plan.passes == len(rounds) + 1


def test_steps_that_name_columns_which_data_make_cannot_be_foreseen_and_still_run():
    steps = [ONE_HOT, {"step": "scale", "columns": "city_Ulm"}]
    plan = rehearsed(*steps)
    assert plan.open_from == "scale"
    assert "more may follow" in plan.words()
    assert applied(TABLE, steps).column("city_Ulm") == pytest.approx([1.0, -1.0, -1.0, 1.0])
    with pytest.raises(MissingColumnsError, match="step scale: input has no column 'city_Rome'"):
        applied(TABLE, [ONE_HOT, {"step": "scale", "columns": "city_Rome"}])


BAD = {
    "wrong type": ([{"step": "scale", "columns": "city"}], "column 'city' holds text; wanted numbers; .*parse_numbers"),
    "unknown column": ([{"step": "scale", "columns": "cty"}], "input has no column 'cty'.*Did you mean 'city'"),
    "unknown pattern": ([{"step": "scale", "columns": "q*"}], r"input has no column 'q\*'"),
    "unknown kind": ([{"step": "scale", "columns": "kind:number"}], "Did you mean 'kind:numbers'"),
    "gone": ([{"step": "drop_columns", "columns": "a"}, SCALE_A], "step scale: input has no column 'a'"),
    "not yet": (
        [{"step": "scale", "columns": "z"}, {"step": "derive", "column": "z", "expression": "a"}], "no column 'z'",
    ),
    "two of one name": ([{"step": "rename_columns", "names": {"a": "b"}}], "two columns would have the name 'b'"),
    "taken": ([{"step": "flag_missing", "columns": "a"}] * 2, "step flag_missing 2: there is a column 'a_missing'"),
    "nothing left": ([{"step": "drop_columns", "columns": "kind:all"}], "no column would be left"),
    "no expression": ([{"step": "derive", "column": "z", "expression": "a +"}], "'a \\+' cannot be read"),
    "no column in it": ([{"step": "derive", "column": "z", "expression": "aa + 1"}], "no column 'aa'"),
    "other rows": ([{"step": "derive", "column": "z", "expression": "max(a) > 9"}], "looks at more than one row"),
    "subquery": ([{"step": "derive", "column": "z", "expression": "(select 1)"}], "looks at more than one row"),
    "window": ([{"step": "filter_rows", "keep": "row_number() over (order by a) > 1"}], "looks at more than one row"),
    "types": ([{"step": "derive", "column": "z", "expression": "city * 2"}], "does not suit its columns"),
    "no condition": ([{"step": "filter_rows", "keep": "a + 1"}], "gives double, not true or false"),
    "unit": ([{"step": "convert_units", "columns": "a", "source": "kg", "to": "km"}], "'kg' is a mass and 'km'"),
    "unknown unit": ([{"step": "convert_units", "columns": "a", "source": "kgg", "to": "g"}], "Did you mean 'kg"),
    "type name": ([{"step": "cast", "columns": "a", "to": "integr"}], "unknown dtype 'integr'.*Did you mean 'integer'"),
    "time zone": ([{"step": "convert_time_zone", "columns": "a", "to": "Europe/Rome"}], "wanted dates or times"),
    "pattern": ([{"step": "replace_text", "columns": "city", "pattern": "("}], "no regular expression"),
    "date format": ([{"step": "parse_dates", "columns": "city", "format": "%d.%m"}], "has no year"),
    "no target": ([{"step": "encode_target", "columns": "city"}], "give `target`, or set target_column"),
    "own target": ([{"step": "encode_target", "columns": "c", "target": "c"}], "cannot be encoded by its own mean"),
    "floats": ([{"step": "encode_label", "columns": "a"}], "become categories by the step bin or cast"),
    "own group": ([{"step": "fill_missing", "columns": "c", "method": "mean", "by": "c"}], "in `columns` and in `by`"),
    "constant": ([{"step": "fill_missing", "columns": "c", "method": "constant", "value": "x"}], "'x' is no value"),
    "too many": ([{"step": "drop_missing", "columns": "a", "min_present": 2}], "min_present is 2, and it looks at 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_told_before_any_row_is_read(name):
    steps, message = BAD[name]
    with pytest.raises((ConfigError, MissingColumnsError), match=message):
        rehearsed(*steps)


def test_what_only_rows_can_tell_is_told_with_the_way_out():
    low = pa.table({"x": [-1.0, 2.0]})
    with pytest.raises(ConfigError, match="smallest value of column 'x' is -1, and log takes .* use yeo_johnson"):
        applied(low, [{"step": "transform", "columns": "x", "method": "log"}])
    many = pa.table({"t": [str(n) for n in range(20)]})
    with pytest.raises(ConfigError, match="more than 10 categories; raise max_categories"):
        applied(many, [{"step": "encode_label", "columns": "t", "max_categories": 10}])
    twins = pa.table({"t": ["a", "b"], "t_a": [1, 2]})
    with pytest.raises(ConfigError, match="there is a column 't_a' already"):
        applied(twins, [{"step": "encode_one_hot", "columns": "t"}])


def test_patterns_and_kinds_leave_out_the_target_unless_it_is_named():
    table = pa.table({"x": [1.0, 2.0], "y": [3.0, 5.0]})
    assert applied(table, [SCALE_ALL], target="y").column("y") == [3.0, 5.0]
    assert applied(table, [{"step": "scale", "columns": "*"}], target="y").column("y") == [3.0, 5.0]
    assert applied(table, [{"step": "scale", "columns": ["x", "y"]}], target="y").column("y") == [-1.0, 1.0]
    assert applied(table, [{"step": "scale", "columns": "*", "but": "x"}]).column("x") == [1.0, 2.0]


def test_names_that_polars_takes_for_patterns_are_plain_names_here():
    table = pa.table({"^a.*$": [1.0, None], "*": [3.0, 5.0], "": [1.0, 2.0]})
    steps = [{"step": "fill_missing", "columns": ["^a.*$"], "method": "mean"}, {"step": "scale", "columns": ["*", ""]}]
    made = applied(table, steps).table
    assert made.to_pydict() == {"^a.*$": [1.0, 1.0], "*": [-1.0, 1.0], "": [-1.0, 1.0]}
    with pytest.raises(ConfigError, match="a pattern; rename that column first"):
        rehearsed({"step": "derive", "column": "z", "expression": '"^a.*$" + 1'}, table=table)
