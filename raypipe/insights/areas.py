"""Words of column names that areas of business care about."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")


def words_of(text: str) -> frozenset[str]:
    """Words of a column name or a sentence, in lower case.

    Examples
    --------
    >>> sorted(words_of("netRevenue_EUR 2024"))
    ['2024', 'eur', 'net', 'revenue']
    """
    return frozenset(word.lower() for word in _WORD.findall(text))


ID_WORDS = words_of("id ids key uuid guid number num no nr code index idx row record serial sku ref reference")

AREAS: dict[str, frozenset[str]] = {
    "sales": words_of(
        "sale sales revenue price amount order orders quantity qty discount customer customers profit margin unit units"
        " invoice product store deal"
    ),
    "revenue": words_of(
        "revenue sale sales income price amount profit margin cost costs fee fees mrr billing invoice fare turnover"
    ),
    "marketing": words_of(
        "campaign click clicks impression impressions conversion conversions ctr cpc cpa spend channel lead leads ad"
        " ads bounce visit visits session sessions open opens segment audience"
    ),
    "operations": words_of(
        "delay delays duration wait queue capacity utilization utilisation throughput cycle backlog sla late"
        " distance shipping delivery inventory stock"
    ),
    "production": words_of(
        "yield defect defects scrap machine machines output batch downtime line rework speed temperature pressure shift"
        " tool quality production"
    ),
}
"""Area of business -> words of column names."""
