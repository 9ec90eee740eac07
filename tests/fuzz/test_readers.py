"""The quick version of the fuzzing: a few mutated files of each format. `make fuzz` runs it for as long as you like."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.check import outcome
from tests.fuzz.corpus import corpus
from tests.fuzz.known import KNOWN, Case
from tests.fuzz.mutate import mutated

CORPUS = corpus()


@pytest.mark.parametrize("name", CORPUS)
def test_a_file_as_it_was_written_is_read_whole(name: str) -> None:
    assert outcome(name, CORPUS[name]) == "read"


@pytest.mark.parametrize("case", KNOWN, ids=[case.file for case in KNOWN])
def test_what_once_broke_a_law_is_read_or_refused(case: Case) -> None:
    assert outcome(case.name, case.content) == case.outcome


@pytest.mark.parametrize("name", CORPUS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(choice=st.randoms(use_true_random=False))
def test_a_mutated_file_is_read_or_refused_and_no_row_is_lost(name: str, choice: random.Random) -> None:
    outcome(name, mutated(CORPUS[name], choice))
