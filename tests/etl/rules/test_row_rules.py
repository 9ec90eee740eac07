"""Each row rule against the same rule told in plain Python, over tables that break careless code."""

import datetime as dt
import ipaddress
import itertools
import json
import math
import pickle
import re
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import ConfigError
from raypipe.etl.rules import RULES, RuleSet, make_rule
from raypipe.etl.rules.counting import CountFaults, SetFaultsAside
from raypipe.etl.rules.judging import row_stages
from raypipe.etl.rules.masks import masks_of
from raypipe.etl.rules.rule import RowRule
from tests.hostile import KINDS, NAMES, TEXTS, columns
from tests.laws import assert_reduce_laws, assert_stage_laws, numbered

NUMBERS = ("int64", "int8", "uint64", "float64", "float32", "decimal")
TIMES = ("date", "datetime", "zoned")
NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Case:
    """How to try one rule."""

    rule: str
    breaks: Callable[..., bool]
    """(value, fields) for a rule about one column; (row, fields) for one about several."""
    kinds: tuple[str, ...] = ("text",)
    fields: st.SearchStrategy[dict[str, Any]] | Callable[[str], st.SearchStrategy[dict[str, Any]]] = field(
        default_factory=lambda: st.just({})
    )
    """Those of the rule, or of the rule for a kind of column."""
    texts: tuple[str, ...] = ()
    """Worth trying, beside the usual ones."""
    width: int = 1


def nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


def moment(value: object) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)


def luhn(text: str) -> bool:
    if not re.fullmatch(r"\d([ -]?\d){11,18}", text, re.ASCII):
        return False
    digits = [int(sign) for sign in text if sign.isdigit()][::-1]
    return sum(d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(digits)) % 10 == 0


def iban(text: str) -> bool:
    bare = text.replace(" ", "")
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", bare, re.ASCII):
        return False
    return int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


def is_json(text: str) -> bool:
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def is_ip(text: str, version: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return version in ("any", str(found.version)) and "%" not in text


def is_uuid(text: str) -> bool:
    bare = text.replace("-", "") if re.fullmatch(r".{8}-.{4}-.{4}-.{4}-.{12}", text) else text
    return len(bare) == 32 and all(sign in string.hexdigits for sign in bare) and bool(uuid.UUID(bare))


def is_date(text: str, layout: str) -> bool:
    try:
        dt.datetime.strptime(text, layout)
    except ValueError:
        return False
    return len(text) == 10


def phone(text: str, international: bool) -> bool:
    right = re.fullmatch(r"\+?\(?\d[\d ().\-/]*\d", text, re.ASCII) is not None
    return right and 7 <= sum(sign in string.digits for sign in text) <= 15 and (text[0] == "+" or not international)


def whole(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and value == math.floor(value)
    return value == int(value) if isinstance(value, Decimal) else True


def multiple(value: object, step: float) -> bool:
    if nan(value) or infinite(value):
        return False
    if isinstance(value, int) and step == int(step):
        return value % int(step) == 0
    quotient = float(value) / step
    return math.isinf(quotient) or abs(quotient - round(quotient)) <= 1e-9 * max(abs(quotient), 1.0)


def sums(row: list[Any], tolerance: float) -> bool:
    *parts, total = row
    if all(isinstance(value, int) for value in row):
        return abs(sum(parts) - total) <= tolerance
    gap = sum(map(float, parts)) - float(total)
    return not any(nan(v) or infinite(v) for v in row) and abs(gap) <= tolerance


def ascends(row: list[Any], or_equal: bool) -> bool:
    for a, b in itertools.pairwise(row):
        if a is None or b is None:
            continue
        if nan(a) or nan(b) or not (a <= b if or_equal else a < b):
            return False
    return True


def same(a: object, b: object) -> bool:
    return (nan(a) and nan(b)) or ((a is None) is (b is None) and a == b)


def dates_ascend(row: list[Any]) -> bool:
    known = [moment(value) for value in row if value is not None]
    return all(a <= b for a, b in itertools.pairwise(known))


def bounds(kind: str) -> st.SearchStrategy[Any]:
    values = [v for v in KINDS[kind][1] if not nan(v) and not infinite(v)]
    plain = [v.isoformat() if isinstance(v, dt.date) else str(v) if isinstance(v, Decimal) else v for v in values]
    return st.sampled_from(plain)


def typed(bound: Any, like: Any) -> Any:
    if isinstance(like, dt.date):
        return moment(dt.datetime.fromisoformat(bound))
    return Decimal(str(bound)) if isinstance(like, Decimal) else bound


def within(value: Any, low: Any = None, high: Any = None, strict_low: bool = False, strict_high: bool = False) -> bool:
    if nan(value):
        return False
    cell = moment(value) if isinstance(value, dt.date) else value
    if low is not None and not (cell > typed(low, value) if strict_low else cell >= typed(low, value)):
        return False
    return high is None or (cell < typed(high, value) if strict_high else cell <= typed(high, value))


EMAILS = (
    "a@b.co",
    "a.b+c@x-y.example",
    "a@b",
    "@b.co",
    "a b@c.de",
    "a@b..co",
    "a.@b.co",
    "é@b.co",
    "a@-b.co",
    "a@b.c1",
)
GOOD_EMAILS = {"a@b.co", "a.b+c@x-y.example", "a@b.c1"}
URLS = (
    "https://a.b/c?d#e",
    "http://localhost:80",
    "ftp://x",
    "a.b",
    "http://",
    "http://a b",
    "HTTP://[::1]/",
    "javascript:1",
)
GOOD_URLS = {"https://a.b/c?d#e", "http://localhost:80", "ftp://x", "HTTP://[::1]/"}
UUIDS = ("123e4567-e89b-12d3-a456-426614174000", "123E4567E89B12D3A456426614174000", "123e4567-e89b", "{x}")
IPS = (
    "1.2.3.4",
    "256.1.1.1",
    "01.2.3.4",
    "::1",
    "2001:db8::8a2e:370:7334",
    "1::2::3",
    "::",
    "1:2:3:4:5:6:7:8",
    "fe80::1%0",
)
IBANS = (
    "DE89370400440532013000",
    "GB82 WEST 1234 5698 7654 32",
    "DE89370400440532013001",
    "XX00",
    "de89370400440532013000",
)
CARDS = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1112",
    "79927398713",
    "0000000000000000",
    "4111  111111111111",
)
PHONES = ("+49 30 123456", "(030) 123-4567", "123", "12345678901234567", "++4930123456", "030/1234567", "+", "phone")
JSONS = ("{}", "[1, 2]", '{"a": NaN}', "null", "1e5", "{'a': 1}", '"x', " 1 ", "[1,]")
DATES = ("2024-02-29", "2023-02-29", "2024-2-9", "29.02.2024", "2024-02-29x", "0001-01-01")
NUMERALS = ("1", "-1", "+2", "1.5", "1.", ".5", "1e5", "1e", "1,5", "0x1", "١", " 1", "-", "1_0")
CODES = ("DE", "de", "XX", "DEU", "EUR", "eur", "USD", "ZZZ", "GB", "UK")

PIECES = st.lists(st.sampled_from(["a", "<b>", '"', "😀", "x", "0"]), min_size=1, max_size=3)


def single(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return bounds(kind).map(lambda value: {"value": value})


def pair(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    two = st.lists(bounds(kind), min_size=2, max_size=2).map(lambda drawn: sorted(drawn))
    return st.builds(
        lambda drawn, which: {"min": drawn[0], "max": drawn[1], "inclusive": which},
        two,
        st.sampled_from(["both", "min", "max", "neither"]),
    )


def listed(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(bounds(kind), min_size=1, max_size=3).map(lambda values: {"values": values})


CASES = [
    Case("not_null", lambda v, f: v is None, tuple(KINDS)),
    Case("not_blank", lambda v, f: v is not None and not v.strip()),
    Case("complete_together", lambda r, f: None in r, tuple(KINDS), width=2),
    Case("any_present", lambda r, f: all(v is None for v in r), tuple(KINDS), width=2),
    Case("null_together", lambda r, f: len({v is None for v in r}) > 1, tuple(KINDS), width=3),
    *(
        Case(
            rule,
            lambda v, f, low=low, strict=strict: (
                v is not None
                and not within(v, **{"low" if low else "high": f["value"], "strict_low": strict, "strict_high": strict})
            ),
            (*NUMBERS, *TIMES),
            single,
        )
        for rule, low, strict in (
            ("at_least", True, False),
            ("more_than", True, True),
            ("at_most", False, False),
            ("less_than", False, True),
        )
    ),
    Case(
        "between",
        lambda v, f: (
            v is not None
            and not within(
                v, f["min"], f["max"], f["inclusive"] not in ("both", "min"), f["inclusive"] not in ("both", "max")
            )
        ),
        ("int64", "float64", "uint64", "date", "datetime"),
        pair,
    ),
    Case("positive", lambda v, f: v is not None and not v > 0, NUMBERS),
    Case("non_negative", lambda v, f: v is not None and not v >= 0, NUMBERS),
    Case("finite", lambda v, f: nan(v) or infinite(v), NUMBERS),
    Case("whole_number", lambda v, f: v is not None and not whole(v), NUMBERS),
    Case(
        "multiple_of",
        lambda v, f: v is not None and not multiple(v, f["step"]),
        ("int64", "int8", "uint64", "float64"),
        st.sampled_from([1, 2, 5, 0.5, 300, 0.1]).map(lambda step: {"step": step}),
    ),
    *(
        Case(
            rule,
            lambda v, f, wanted=wanted: (
                v is not None
                and any((moment(v) == typed(x, v)) if isinstance(v, dt.date) else v == typed(x, v) for x in f["values"])
                is not wanted
            ),
            ("int64", "float64", "text", "bool", "date", "decimal"),
            listed,
        )
        for rule, wanted in (("in_set", True), ("not_in_set", False))
    ),
    Case(
        "matches",
        lambda v, f: v is not None and (re.search if f["anywhere"] else re.fullmatch)(f["pattern"], v) is None,
        fields=st.tuples(st.sampled_from(["[a-z]", r"[0-9]+", "a|b", "", "x*"]), st.booleans()).map(
            lambda drawn: {"pattern": drawn[0], "anywhere": drawn[1]}
        ),
    ),
    Case(
        "not_matches",
        lambda v, f: v is not None and re.search(f["pattern"], v) is not None,
        fields=st.sampled_from(["[a-z]", "[0-9]{2}", "^b"]).map(lambda pattern: {"pattern": pattern}),
        texts=("ab", "b\n"),
    ),
    Case(
        "starts_with",
        lambda v, f: v is not None and not v.startswith(tuple(f["text"])),
        fields=PIECES.map(lambda t: {"text": t}),
    ),
    Case(
        "ends_with",
        lambda v, f: v is not None and not v.endswith(tuple(f["text"])),
        fields=PIECES.map(lambda t: {"text": t}),
    ),
    Case(
        "contains",
        lambda v, f: v is not None and not any(t in v for t in f["text"]),
        fields=PIECES.map(lambda t: {"text": t}),
    ),
    Case(
        "length_is",
        lambda v, f: v is not None and len(v) != f["chars"],
        fields=st.integers(0, 3).map(lambda n: {"chars": n}),
    ),
    Case(
        "length_between",
        lambda v, f: v is not None and not f["min"] <= len(v) <= f["max"],
        fields=st.integers(0, 3).map(lambda n: {"min": n, "max": n + 2}),
    ),
    Case(
        "words_between",
        lambda v, f: v is not None and not f["min"] <= len(v.split()) <= 2,
        fields=st.integers(0, 2).map(lambda n: {"min": n, "max": 2}),
        texts=("a b", "a  b c", "a\u3000b"),
    ),
    Case("trimmed", lambda v, f: v is not None and v != v.strip()),
    Case(
        "one_line",
        lambda v, f: v is not None and re.search("[\n\r\x85\u2028\u2029]", v) is not None,
        texts=("a\x85b", "a\rb"),
    ),
    Case(
        "no_control_characters",
        lambda v, f: v is not None and any((ord(c) < 32 and c not in "\t\n\r") or 127 <= ord(c) < 160 for c in v),
        texts=("a\x00", "\x7f", "\x9f", "a\tb", "\u200b"),
    ),
    Case("ascii_only", lambda v, f: v is not None and not v.isascii(), texts=("é", "\x7f")),
    Case(
        "text_case",
        lambda v, f: v is not None and v != (v.lower() if f["case"] == "lower" else v.upper()),
        fields=st.sampled_from(["lower", "upper"]).map(lambda case: {"case": case}),
        texts=("aB", "AB", "ab", "É", "1"),
    ),
    Case(
        "parses_as_integer",
        lambda v, f: v is not None and not re.fullmatch(r"[+-]?\d+", str(v), re.ASCII),
        ("text", "int64"),
        texts=NUMERALS,
    ),
    Case(
        "parses_as_number",
        lambda v, f: v is not None and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", v, re.ASCII),
        texts=NUMERALS,
    ),
    Case("parses_as_number", lambda v, f: nan(v), ("float64", "int8", "decimal")),
    Case(
        "parses_as_date",
        lambda v, f: v is not None and not is_date(v, f["format"]),
        fields=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"]).map(lambda layout: {"format": layout}),
        texts=tuple(text for text in DATES if text != "2024-2-9"),
    ),
    Case("email", lambda v, f: v is not None and v not in GOOD_EMAILS, texts=EMAILS),
    Case("url", lambda v, f: v is not None and v not in GOOD_URLS, texts=URLS),
    Case("uuid", lambda v, f: v is not None and not is_uuid(v), texts=UUIDS),
    Case(
        "ip_address",
        lambda v, f: v is not None and not is_ip(v, f["version"]),
        fields=st.sampled_from(["any", "4", "6"]).map(lambda version: {"version": version}),
        texts=IPS,
    ),
    Case("json", lambda v, f: v is not None and not is_json(v), texts=JSONS),
    Case("iban", lambda v, f: v is not None and not iban(v), texts=IBANS),
    Case("credit_card", lambda v, f: v is not None and not luhn(str(v)), ("text", "int64"), texts=CARDS),
    Case(
        "phone",
        lambda v, f: v is not None and not phone(v, f["international"]),
        fields=st.booleans().map(lambda wanted: {"international": wanted}),
        texts=PHONES,
    ),
    Case(
        "country_code",
        lambda v, f: v is not None and v not in ({"DE", "GB"} if f["letters"] == 2 else {"DEU"}),
        fields=st.sampled_from([2, 3]).map(lambda letters: {"letters": letters}),
        texts=CODES,
    ),
    Case("currency_code", lambda v, f: v is not None and v not in {"EUR", "USD"}, texts=CODES),
    Case(
        "not_in_future",
        lambda v, f: v is not None and (v > NOW.date() if type(v) is dt.date else moment(v) > NOW),
        TIMES,
        st.just({"as_of": NOW}),
    ),
    Case("not_weekend", lambda v, f: v is not None and v.weekday() >= 5, TIMES),
    Case(
        "business_hours",
        lambda v, f: v is not None and not dt.time(1) <= v.time() < dt.time(13),
        ("datetime", "zoned"),
        st.just({"start": "01:00", "end": "13:00"}),
    ),
    Case("dates_in_order", lambda r, f: not dates_ascend(r), TIMES, width=3),
    Case(
        "columns_ascend",
        lambda r, f: not ascends(r, f["or_equal"]),
        ("int64", "float64", "text", "date"),
        st.booleans().map(lambda wanted: {"or_equal": wanted}),
        width=2,
    ),
    Case(
        "columns_equal",
        lambda r, f: not all(same(r[0], v) for v in r[1:]),
        ("int64", "float64", "text", "bool"),
        width=2,
    ),
    Case(
        "columns_differ",
        lambda r, f: any(a is not None and (a == b or (nan(a) and nan(b))) for a, b in itertools.combinations(r, 2)),
        ("int64", "float64", "text"),
        width=3,
    ),
]


def cells(case: Case, kind: str, rows: int) -> st.SearchStrategy[pa.Array]:
    if kind != "text" or not case.texts:
        return columns(kind, rows)
    value = st.none() | st.sampled_from((*TEXTS, *case.texts)) | st.text(max_size=4)
    return st.lists(value, min_size=rows, max_size=rows).map(lambda drawn: pa.array(drawn, pa.large_string()))


@st.composite
def tried(draw: Any, case: Case) -> tuple[pa.Table, dict[str, Any]]:
    rows = draw(st.integers(0, 8))
    kind = draw(st.sampled_from(case.kinds))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=case.width, max_size=case.width, unique=True))
    table = pa.table([draw(cells(case, kind, rows)) for _ in names], names=names)
    fields = case.fields(kind) if callable(case.fields) else case.fields
    return table.append_column("keep", draw(columns("bool", rows))), draw(fields)


def stage_of(rule: RowRule, **more: Any) -> CountFaults:
    return CountFaults(rules=RuleSet(rules=(rule,), **more).checks())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.kinds[0]}")
def test_a_rule_finds_the_rows_that_it_would_in_plain_python(case):
    @given(drawn=tried(case), where=st.booleans())
    @settings(max_examples=12, deadline=None)
    def holds(drawn: tuple[pa.Table, dict[str, Any]], where: bool) -> None:
        table, fields = drawn
        names = [name for name in table.column_names if name != "keep"]
        rule = make_rule(case.rule, *names, **fields, **({"where": "keep"} if where else {}))
        found = stage_of(rule).partial(numbered(table), "p")
        assert not found.unfit
        rows = [[row[name] for name in names] for row in table.to_pylist()]
        looked_at = [n for n, keep in enumerate(table["keep"].to_pylist()) if keep or not where]
        wrong = [n for n in looked_at if case.breaks(rows[n] if case.width > 1 else rows[n][0], fields)]
        count = found.rules[0]
        assert (count.rows, count.failing) == (len(looked_at), len(wrong))
        assert [row.row for row in count.first] == wrong[:5]
        assert found.at_fault == len(wrong)

    holds()


def test_every_row_rule_is_tried():
    elsewhere = {"sum_equals", "pairs_in", "implies", "sql", "in_table", "python"}
    row_rules = {name for name, kind in RULES.items() if issubclass(kind, RowRule)}
    assert row_rules - elsewhere == {case.rule for case in CASES}


ROWS = pa.table(
    {
        "a": pa.array([1, 2, None, 4, 2**53, -1]),
        "b": pa.array([1.0, float("nan"), 3.0, float("inf"), 1.0, None]),
        "c": pa.array(["x", "y", None, "x", "", "é"], pa.large_string()),
        "sum": pa.array([2, 4, 6, 8, 2**54, -2]),
    }
)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        (make_rule("sum_equals", "a", "a2", total="sum"), []),
        (make_rule("sum_equals", "a", total="sum", tolerance=2), [3, 4]),
        (make_rule("sum_equals", "a", "b", total="sum"), [1, 3, 4]),
        (make_rule("pairs_in", "a", "c", values=[[1, "x"], [4, "x"]]), [1, 4, 5]),
        (make_rule("implies", **{"if": "c = 'x'", "then": "a < 4"}), [3]),
        (make_rule("implies", **{"if": "a > 0", "then": "c <> 'y'"}), [1]),
        (make_rule("sql", condition="a * 2 = sum"), []),
        (make_rule("sql", condition="a < 3 OR c = ''"), [3]),
        (make_rule("sql", condition="length(c) > 0"), [4]),
    ],
)
def test_rules_across_columns_find_the_rows_that_they_should(rule, wrong):
    table = ROWS.append_column("a2", ROWS["a"])
    count = stage_of(rule).partial(numbered(table), "p").rules[0]
    assert [row.row for row in count.first] == wrong
    assert count.failing == len(wrong)


def some_rules(**more: Any) -> RuleSet:
    return RuleSet(
        rules=(
            make_rule("not_null", "a", "c", segments=("c",), action="quarantine"),
            make_rule("positive", "a", where="b > 0", segments="c"),
            make_rule("in_set", "c", values=["x", "y"], action="quarantine"),
            make_rule("finite", "b"),
            make_rule("sql", condition="a < sum"),
            make_rule("matches", "a", pattern="x"),
        ),
        **more,
    )


def test_counts_examples_and_segments_do_not_depend_on_how_rows_are_cut():
    found = assert_reduce_laws(CountFaults(rules=some_rules().checks()), pa.concat_tables([ROWS, ROWS, ROWS]))
    assert found.rules[0].failing == 3
    assert [row.row for row in found.rules[0].first] == [2, 8, 14]
    assert found.unfit == {6: "holds int64, and the rule needs text"}
    by_segment = {key[1]: counts for key, counts in found.rules[2].segments.counts.items()}
    assert by_segment[("x",)] == (6, 0)
    assert by_segment[(None,)] == (3, 0)


def test_setting_aside_keeps_the_laws_of_a_stage():
    assert_stage_laws(SetFaultsAside(rules=some_rules().checks()), pa.concat_tables([ROWS, ROWS]))


def test_a_row_goes_aside_with_every_rule_that_it_breaks():
    sifted = SetFaultsAside(rules=some_rules().checks()).apply(numbered(ROWS))
    told = {row["row"]: (row["column"], row["reason"], row["rules"]) for row in sifted.aside.to_pylist()}
    assert told == {
        2: ("a", "not_null: wanted no null", ["not_null:a", "not_null:c"]),
        4: ("c", "in_set: wanted one of 'x', 'y'", ["in_set:c"]),
        5: ("c", "in_set: wanted one of 'x', 'y'", ["in_set:c", "sql"]),
    }
    assert sifted.block["__row__"].to_pylist() == [0, 1, 3]


def test_segments_past_the_limit_are_a_fixed_choice_with_exact_counts():
    table = pa.table({"k": pa.array([str(n % 130) for n in range(390)]), "v": [n % 7 for n in range(390)]})
    stage = CountFaults(rules=RuleSet(rules=(make_rule("positive", "v", segments="k", where="k <> '7'"),)).checks())
    tally = assert_reduce_laws(stage, table).rules[0].segments
    assert tally.dropped
    assert len(tally.counts) == 100
    for (_, (key,)), counts in tally.counts.items():
        rows = [n for n in range(390) if n % 130 == int(key) and key != "7"]
        assert counts == (len(rows), sum(n % 7 == 0 for n in rows))


def test_the_stage_that_sets_aside_computes_nothing_that_the_one_before_it_has():
    count, aside = row_stages(some_rules().checks())
    block = numbered(ROWS)
    before = masks_of(count.rules, block)
    count.partial(block, "p")
    aside.apply(block)
    assert masks_of(pickle.loads(pickle.dumps(aside)).rules, block) is before
    assert masks_of(aside.rules, numbered(ROWS)) is not before


def test_a_condition_that_fails_on_the_data_names_its_rule():
    rule = make_rule("sql", condition="cast(c AS integer) > 1", id="numbers")
    with pytest.raises(ConfigError, match="rule 'numbers' cannot be computed: conversion .*TRY_CAST"):
        stage_of(rule).partial(numbered(ROWS), "p")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (make_rule("not_null", "cc"), "there is no column 'cc'.*Did you mean 'c'"),
        (make_rule("not_null", "a", segments="cc"), "there is no column 'cc'.*Did you mean 'c'"),
        (make_rule("between", "c", min=1), "a column of type text has no smallest or largest value"),
        (make_rule("between", "a", min="2024-01-01"), "no whole number|cannot be compared|is no number"),
        (make_rule("not_weekend", "a"), "holds int64, and the rule needs dates or times"),
        (make_rule("email", "b"), "holds float64, and the rule needs text"),
        (make_rule("in_set", "a", values=["x"]), "'x' is no whole number"),
        (make_rule("columns_ascend", "a", "c"), "'a' holds int64 and 'c' text, which cannot be compared"),
        (make_rule("not_null", "a", where="zz > 1"), "there is no column 'zz'"),
        (make_rule("sql", condition="a + 1"), "gives Int64; wanted true or false"),
        (make_rule("sql", condition="c > 1"), "cannot be computed"),
    ],
)
def test_a_rule_that_cannot_hold_says_why(rule, reason):
    found = stage_of(rule).partial(numbered(ROWS), "p")
    assert re.search(reason, found.unfit[0]), found.unfit[0]


PLAIN = {
    "value": 1, "min": 1, "max": 2, "values": ["x"], "pattern": "x", "text": "x", "chars": 1, "case": "lower",
    "step": 2,
}  # fmt: skip


def plain_rule(name: str, *names: str) -> RowRule:
    """A rule with some value in each field that it demands."""
    wanted = {field for field, info in RULES[name].model_fields.items() if info.is_required()}
    bounded = {"min"} if {"min", "max"} & set(RULES[name].model_fields) else set()
    return make_rule(name, *names, **{field: PLAIN[field] for field in wanted | bounded})


def test_a_column_of_nulls_keeps_every_rule_but_those_of_completeness():
    table = pa.table({"n": pa.nulls(3), "m": pa.nulls(3)})
    for name, kind in RULES.items():
        if issubclass(kind, RowRule) and kind.GROUP != "completeness" and name in {case.rule for case in CASES}:
            found = stage_of(plain_rule(name, *["n", "m"][: max(kind.LEAST, 1)])).partial(table, "p")
            assert not found.unfit, name
            assert found.rules[0].failing == 0, name
