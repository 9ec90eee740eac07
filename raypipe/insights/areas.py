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


def last_word(text: str) -> str:
    """The last word of a column name, in lower case: the noun in English; empty where there is none.

    Examples
    --------
    >>> last_word("flightNumber"), last_word("number of rooms")
    ('number', 'rooms')
    """
    return next((word.lower() for word in reversed(_WORD.findall(text))), "")


THINGS = words_of(
    "account branch bus case channel city client country customer department device district employee flight gate group"
    " invoice item line machine order part patient person plant player product region room route school sector seller"
    " sensor shop station store student supplier team ticket train user vehicle vendor warehouse zone"
)
"""Nouns of things: in the singular, whole numbers under such a name tell which one (flight 1545), not how many."""
NAMING_WORDS = THINGS | words_of(
    "id key uuid guid number no nr code sku ref reference serial zip zipcode postcode postal plz phone fax isbn ean"
    " barcode category cluster"
)
_NAMING_ENDS = ("key", "number", "code")


def is_naming(text: str) -> bool:
    """Whether a column of whole numbers with this name tells things apart, rather than counts or measures them.

    Examples
    --------
    >>> is_naming("flight"), is_naming("l_orderkey"), is_naming("flights"), is_naming("order total")
    (True, True, False, False)
    """
    noun = last_word(text)
    thing = next((noun[: -len(end)] for end in ("id", "no", "nr", "num") if noun.endswith(end)), "")
    return noun in NAMING_WORDS or noun.endswith(_NAMING_ENDS) or thing in THINGS


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
    "finance": words_of(
        "amount balance budget cash cost costs credit debit debt expense expenses fee fees interest invoice ledger"
        " liability loan margin payment payments profit tax"
    ),
    "customers": words_of(
        "account age churn churned city client contact country customer customers gender loyalty member rating region"
        " satisfaction score segment subscription tenure"
    ),
    "people": words_of(
        "absence department employee employees headcount hire hired hours job leave manager overtime performance role"
        " salary seniority staff team tenure training vacancy wage"
    ),
    "logistics": words_of(
        "carrier delay delivered delivery dest destination distance dispatch freight late leadtime origin parcel route"
        " shipment shipping stock transit truck vehicle warehouse weight"
    ),
    "risk": words_of(
        "alarm alert breach claim claims default error errors exposure failure failures fault fraud incident incidents"
        " limit loss losses rating risk severity"
    ),
}
"""Area of business -> words of column names."""

IDLE_WORDS = words_of(
    "about data each every focus from have into more most only other over some than that this when with"
)
"""Words of a context that say nothing of columns."""

QUESTIONS: dict[str, str] = {
    "sales": "What sells, to whom, and when?",
    "revenue": "Where does the money come from, and how sure is it?",
    "marketing": "Who answers, through which channel, at what cost?",
    "operations": "Where is time lost, and when?",
    "production": "Where does output or quality get lost?",
    "finance": "What is owed, spent and earned, and does it add up?",
    "customers": "Who are they, and who leaves?",
    "people": "Who is there, who leaves, and where is work too much?",
    "logistics": "What arrives late, on which way?",
    "risk": "What goes wrong, how often, and how badly?",
}
"""Area of business -> what it asks of its data."""

_PERIODS = "Compare like periods, and plan for the cycle: an average over it is right for no day."
_CHANGES = "Old and new rows differ: judge targets and limits by the latest ones."
ADVICE: dict[str, str] = {
    "data_quality": "Mend this first: figures of the area rest on it.",
    "data_distribution": "Report medians and quantiles beside totals: a few rows carry most of the sum.",
    "outliers": "Look at these rows one by one: they are the costly cases, or faults of recording.",
    "anomalies": "Look at these rows one by one: they are the costly cases, or faults of recording.",
    "correlation": "Steer by one of these figures: they move together.",
    "feature_relationships": "Ask what can be acted upon: what goes with a result need not cause it.",
    "seasonality": _PERIODS,
    "trends": _CHANGES,
    "change_points": _CHANGES,
    "clustering": "Treat the groups apart: one rule for all fits none of them.",
}
"""Category of finding -> what it means for an area that is stressed."""
