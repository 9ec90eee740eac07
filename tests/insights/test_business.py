"""The rules by which a business context steers the order and the wording."""

import pytest

from raypipe.insights.areas import AREAS, IDLE_WORDS, QUESTIONS
from raypipe.insights.business import business_insights
from raypipe.insights.facts import InsightContext
from raypipe.insights.generator import stress
from raypipe.insights.wording.catalogue import shipped
from tests.insights.tables import findings
from tests.insights.test_document import insight
from tests.insights.test_generator import rich_table

CONTEXTS = ("finance", "grade", "sales and money, with padded names", "nothing that it has")


@pytest.fixture(scope="module")
def table():
    return rich_table()


@pytest.fixture(scope="module")
def plain(table):
    return findings(table, "y", "t")


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_changes_order_alone_and_by_one_point(table, plain, context):
    told = findings(table, "y", "t", context=InsightContext(business=context))
    before = {(one.type, one.columns_affected, one.title): one for one in plain}
    after = {(one.type, one.columns_affected, one.title): one for one in told}
    assert set(before) == set(after)
    for key, one in after.items():
        raised = "stressed_for" in one.evidence
        assert one.priority_score == min(before[key].priority_score + raised, 10)
        assert (one.description, one.effect_size) == (before[key].description, before[key].effect_size)
    priorities = [one.priority_score for one in told]
    assert priorities == sorted(priorities, reverse=True)


def test_what_is_not_raised_keeps_its_order(table, plain):
    told = findings(table, "y", "t", context=InsightContext(business="finance"))
    kept = [one.title for one in told if "stressed_for" not in one.evidence]
    assert kept == [one.title for one in plain if one.title in set(kept)]


def test_a_finding_is_raised_once_however_many_words_it_meets():
    one = stress(insight("skewed", "delay_cost_price", priority=5), "finance, sales and operations, delay")
    assert one.priority_score == 6
    assert one.evidence["stressed_for"] == "sales"
    assert stress(insight("skewed", "delay", priority=10), "operations").priority_score == 10


def test_idle_words_and_names_of_rows_raise_nothing():
    for word in sorted(IDLE_WORDS):
        one = insight("skewed", f"{word}_x")
        assert stress(one, f"the {word} of it") == one
    named = insight("identifier", "order_id")
    assert stress(named, "sales") == named
    assert stress(insight("duplicate_keys", "order_id"), "sales").priority_score == 6


def test_advice_is_told_with_the_columns_that_it_is_for_in_the_language_of_the_report():
    told = tuple(
        insight("skewed", column, category="data_distribution", evidence={"stressed_for": "sales"}) for column in "ab"
    )
    (english,) = business_insights(told, "sales")
    assert english.advice[0].endswith("(“a”, “b”)")
    (german,) = business_insights(told, "sales", shipped("de"))
    assert german.question == "Was verkauft sich, an wen und wann?"
    assert german.advice[0].endswith("(„a“, „b“)")
    assert list(QUESTIONS) == list(AREAS)
