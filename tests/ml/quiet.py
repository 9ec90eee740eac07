"""Warnings of MLflow and of what it is made of, about its own changes to come."""

from __future__ import annotations

import pytest

QUIET = [
    # MLflow asks SQLAlchemy for what that is about to drop.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
