"""Tables to learn from."""

from __future__ import annotations

import numpy as np
import pandas as pd


def people(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps, text, dates, groups, and a class of text that follows two of them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows),
            "income": np.round(rng.lognormal(10, 1, rows), 2),
            "city": rng.choice(np.array(["Ulm", "Bonn", "Kiel", None], dtype=object), rows),
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "person": rng.integers(0, rows // 5, rows),
        }
    )
    table.loc[::7, "age"] = np.nan
    rating = (table["age"].fillna(40) - 40) / 10 + 1.5 * (table["city"] == "Ulm") + rng.normal(size=rows)
    table["churn"] = np.where(rating > 0.5, "yes", "no")
    return table


def numbers(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """A number that follows two others."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "c"])
    table["y"] = 3 * table["a"] - 2 * table["b"] + 0.3 * rng.normal(size=rows) + 10
    return table
