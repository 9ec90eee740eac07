"""Sixty rules on TPC-H lineitem, in words that every contender can translate: it imports nothing of raypipe."""

from __future__ import annotations

from typing import Any, NamedTuple


class LineitemRule(NamedTuple):
    """One rule: its name and fields as in a rule file of raypipe, and the SQL that tells what it asks."""

    rule: str
    columns: tuple[str, ...]
    fields: dict[str, Any]
    sql: str
    """Of a rule about rows: true where a row breaks it. Of one about a figure: the figure."""
    is_figure: bool = False

    def spec(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        return {"rule": self.rule, "columns": list(self.columns), **self.fields}


COLUMNS = (
    "l_orderkey", "l_partkey", "l_suppkey", "l_linenumber", "l_quantity", "l_extendedprice", "l_discount", "l_tax",
    "l_returnflag", "l_linestatus", "l_shipdate", "l_commitdate", "l_receiptdate", "l_shipinstruct", "l_shipmode",
    "l_comment",
)  # fmt: skip
RANGES: dict[str, tuple[Any, Any]] = {
    "l_quantity": (1, 50),
    "l_extendedprice": (900, 105_000),
    "l_discount": (0, 0.1),
    "l_tax": (0, 0.08),
    "l_linenumber": (1, 7),
    "l_shipdate": ("1992-01-01", "1998-12-31"),
    "l_commitdate": ("1992-01-01", "1998-12-31"),
    "l_receiptdate": ("1992-01-01", "1998-12-31"),
}
SETS = {
    "l_returnflag": ("A", "N", "R"),
    "l_linestatus": ("F", "O"),
    "l_shipinstruct": ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"),
    "l_shipmode": ("AIR", "FOB", "MAIL", "RAIL", "REG AIR", "SHIP", "TRUCK"),
}
KEYS = {"l_orderkey": 6_000_000, "l_partkey": 200_000, "l_suppkey": 10_000}


def lineitem_rules(all_fail: bool = False) -> list[LineitemRule]:
    """The rules; with `all_fail`, each rule about rows but those about nulls has a bound that every row breaks."""
    return [*_rows(all_fail), *_figures()]


def _rows(bad: bool) -> list[LineitemRule]:
    rules = [LineitemRule("not_null", (name,), {}, f"{name} IS NULL") for name in COLUMNS]
    rules += [_between(name, *(_beyond(low) if bad else (low, high))) for name, (low, high) in RANGES.items()]
    positive = ("l_orderkey", "l_partkey", "l_suppkey", "l_quantity")
    rules += [_less_than(name, 0) if bad else _bound("positive", name, "<= 0") for name in positive]
    rules += [_less_than(name, 0) if bad else _bound("non_negative", name, "< 0") for name in ("l_discount", "l_tax")]
    rules += [_at_most(name, -1 if bad else high) for name, high in KEYS.items()]
    rules.append(_less_than("l_quantity", 0) if bad else _bound("whole_number", "l_quantity", "% 1 <> 0"))
    rules += [_in_set(name, ("?",) if bad else values) for name, values in SETS.items()]
    rules += [_length(name, 9 if bad else 1) for name in ("l_returnflag", "l_linestatus")]
    low, high = (500, 600) if bad else (10, 44)
    sql = f"length(l_comment) NOT BETWEEN {low} AND {high}"
    rules.append(LineitemRule("length_between", ("l_comment",), {"min": low, "max": high}, sql))
    rules += [
        _matches(name, "[0-9]+")
        if bad
        else LineitemRule("trimmed", (name,), {}, f"length(trim({name})) <> length({name})")
        for name in ("l_shipmode", "l_shipinstruct")
    ]
    case = "lower" if bad else "upper"
    rules += [LineitemRule("text_case", (name,), {"case": case}, f"{name} <> {case}({name})") for name in SETS]
    rules += [
        _matches("l_comment", "[0-9]+" if bad else "[ -~]+"),
        _matches("l_shipmode", "[0-9]+" if bad else "[A-Z ]+"),
    ]
    dates = ("l_receiptdate", "l_shipdate") if bad else ("l_shipdate", "l_receiptdate")
    rules.append(LineitemRule("columns_ascend", dates, {}, f"{dates[0]} >= {dates[1]}"))
    for condition, then in (
        ("l_returnflag <> 'N'", "l_receiptdate <= DATE '1995-06-17'"),
        ("l_linestatus = 'O'", "l_shipdate > DATE '1995-06-17'"),
    ):
        pair = ("l_orderkey > 0", "l_orderkey < 0") if bad else (condition, then)
        rules.append(LineitemRule("implies", (), {"if": pair[0], "then": pair[1]}, f"({pair[0]}) AND NOT ({pair[1]})"))
    return rules


def _figures() -> list[LineitemRule]:
    key = ("l_orderkey", "l_linenumber")
    return [
        LineitemRule("unique_together", key, {}, "count(*) - count(DISTINCT (l_orderkey, l_linenumber))", True),
        LineitemRule("mean_between", ("l_quantity",), {"min": 25, "max": 26}, "avg(l_quantity)", True),
        LineitemRule("min_between", ("l_discount",), {"min": 0, "max": 0}, "min(l_discount)", True),
        LineitemRule("max_between", ("l_tax",), {"min": 0.08, "max": 0.08}, "max(l_tax)", True),
        LineitemRule("stddev_between", ("l_extendedprice",), {"min": 1e4, "max": 1e5}, "stddev(l_extendedprice)", True),
        LineitemRule("sum_between", ("l_quantity",), {"min": 1}, "sum(l_quantity)", True),
        LineitemRule("distinct_count", ("l_shipmode",), {"min": 7, "max": 7}, "count(DISTINCT l_shipmode)", True),
        LineitemRule("row_count", (), {"min": 1}, "count(*)", True),
    ]


def _beyond(low: Any) -> tuple[Any, Any]:
    """A range that no value lies in."""
    return ("1800-01-01", "1801-01-01") if isinstance(low, str) else (-10, -5)


def _between(name: str, low: Any, high: Any) -> LineitemRule:
    ends = [f"DATE '{end}'" if isinstance(end, str) else str(end) for end in (low, high)]
    return LineitemRule("between", (name,), {"min": low, "max": high}, f"{name} NOT BETWEEN {ends[0]} AND {ends[1]}")


def _bound(rule: str, name: str, broken: str) -> LineitemRule:
    return LineitemRule(rule, (name,), {}, f"{name} {broken}")


def _less_than(name: str, value: int) -> LineitemRule:
    return LineitemRule("less_than", (name,), {"value": value}, f"{name} >= {value}")


def _at_most(name: str, value: int) -> LineitemRule:
    return LineitemRule("at_most", (name,), {"value": value}, f"{name} > {value}")


def _in_set(name: str, values: tuple[str, ...]) -> LineitemRule:
    listed = ", ".join(f"'{value}'" for value in values)
    return LineitemRule("in_set", (name,), {"values": list(values)}, f"{name} NOT IN ({listed})")


def _length(name: str, chars: int) -> LineitemRule:
    return LineitemRule("length_is", (name,), {"chars": chars}, f"length({name}) <> {chars}")


def _matches(name: str, pattern: str) -> LineitemRule:
    return LineitemRule("matches", (name,), {"pattern": pattern}, f"NOT regexp_full_match({name}, '{pattern}')")
