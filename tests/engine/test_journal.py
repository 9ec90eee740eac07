"""What is committed holds: cut at any byte, signed, and gone on from with equal results."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import EngineConfig
from raypipe.engine import journal as journals
from raypipe.engine.events import EventLog
from raypipe.engine.inline import InlineEngine
from raypipe.engine.journal import KEY_ENV, Journal, locked, resume_key
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.errors import ResumeError
from raypipe.stage import Plan
from tests.engine.stages import AddTo, CountReads, FailOn, KeepEven, Numbers, SetAsideMultiples, SumX

KEY = b"k" * 32
STAGES = (AddTo(amount=1), SetAsideMultiples(of=10), FailOn(values=(17,)), KeepEven(), SumX())
SOURCE = Numbers(rows=2000, per_part=90)


@pytest.fixture(autouse=True)
def commits_are_made_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COST_SHARE", 1e9)


def journal(folder: Path, key: bytes = KEY, checkpoint_s: float = 0.0) -> Journal:
    return Journal(folder, key, checkpoint_s, EventLog())


def run(engine: Engine, plan: Plan, **options: Any) -> tuple[Outcome, list[Any], list[Any]]:
    asides: list[Any] = []
    reads: list[Any] = []
    work = Pass(
        plan,
        keep=True,
        on_aside=lambda stage, part, rows: asides.append((stage, part.id, rows.to_pylist())),
        on_read=lambda report: reads.append((report.part, report.lines)),
        **options,
    )
    return engine.run(work), asides, reads


def essence(found: tuple[Outcome, list[Any], list[Any]]) -> list[Any]:
    outcome, asides, reads = found
    tallies = {
        name: (tally.rows_in, tally.rows_out, tally.rows_aside, tally.rows_failed, dict(tally.counts))
        for name, tally in outcome.tallies.items()
    }
    assert outcome.frame is not None
    return [outcome.results, tallies, outcome.rows_out, outcome.frame.to_arrow(), asides, reads]


REFERENCE = essence(run(InlineEngine(EngineConfig()), Plan(source=SOURCE, stages=STAGES)))


def stopped(engine: Engine, folder: Path, parts: int) -> None:
    """A run that raises once it comes to a part, after committing what came before."""
    plan = Plan(source=CountReads(rows=2000, per_part=90, stop_at=parts), stages=STAGES)
    with pytest.raises(Exception, match="stopped on purpose"):
        run(engine, plan, journal=journal(folder).next_pass("load"))


@pytest.mark.parametrize("parts", [1, 7, 21])
def test_a_pass_goes_on_where_it_was_cut_off_with_equal_results(engine: Engine, tmp_path: Path, parts: int) -> None:
    stopped(engine, tmp_path / "resume", parts)
    plan = Plan(source=CountReads(rows=2000, per_part=90, folder=tmp_path / "reads"), stages=STAGES)
    (tmp_path / "reads").mkdir()
    again = run(engine, plan, journal=journal(tmp_path / "resume").next_pass("load"))
    read_again = len(list((tmp_path / "reads").iterdir()))
    assert essence(again) == REFERENCE
    if engine.name == "inline":
        assert read_again == 23 - parts


def test_a_pass_that_was_done_is_not_run_again(engine: Engine, tmp_path: Path) -> None:
    plan = Plan(source=SOURCE, stages=STAGES)
    first = run(engine, plan, journal=journal(tmp_path / "resume").next_pass("load"))
    (tmp_path / "reads").mkdir()
    counting = Plan(source=CountReads(rows=2000, per_part=90, folder=tmp_path / "reads"), stages=STAGES)
    again = run(engine, counting, journal=journal(tmp_path / "resume").next_pass("load"))
    assert not list((tmp_path / "reads").iterdir())
    assert essence(again) == essence(first) == REFERENCE


def test_what_one_engine_committed_the_other_goes_on_from(engine: Engine, tmp_path: Path) -> None:
    stopped(InlineEngine(EngineConfig()), tmp_path / "resume", 9)
    plan = Plan(source=SOURCE, stages=STAGES)
    assert essence(run(engine, plan, journal=journal(tmp_path / "resume").next_pass("load"))) == REFERENCE


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), parts=st.integers(2, 20))
def test_a_commit_cut_at_any_byte_counts_as_absent(
    tmp_path_factory: pytest.TempPathFactory, cut: float, parts: int
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "resume"
    stopped(InlineEngine(EngineConfig()), folder, parts)
    last = max(folder.glob("*/commit-*"))
    content = last.read_bytes()
    last.write_bytes(content[: int(cut * (len(content) - 1))])
    plan = Plan(source=SOURCE, stages=STAGES)
    again = run(InlineEngine(EngineConfig()), plan, journal=journal(folder).next_pass("load"))
    assert essence(again) == REFERENCE


class Evil:
    """Would run code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["EVIL"],)


def test_nothing_that_another_key_signed_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    stopped(InlineEngine(EngineConfig()), tmp_path / "resume", 5)
    for path in (tmp_path / "resume").glob("*/commit-*"):
        path.write_bytes(path.read_bytes()[:50] + pickle.dumps(Evil()))
    with pytest.raises(ResumeError, match=f"not signed with the key of this user.*{KEY_ENV}"):
        run(
            InlineEngine(EngineConfig()),
            Plan(source=SOURCE, stages=STAGES),
            journal=journal(tmp_path / "resume").next_pass("load"),
        )
    with pytest.raises(ResumeError, match="not signed"):
        run(
            InlineEngine(EngineConfig()),
            Plan(source=SOURCE, stages=STAGES),
            journal=journal(tmp_path / "resume", key=b"x" * 32).next_pass("load"),
        )
    assert not (tmp_path / "evil").exists()


def test_a_file_cannot_stand_in_for_another(tmp_path: Path) -> None:
    stopped(InlineEngine(EngineConfig()), tmp_path / "resume", 5)
    commits = sorted((tmp_path / "resume").glob("*/commit-*"))
    commits[1].write_bytes(commits[0].read_bytes())
    again = run(
        InlineEngine(EngineConfig()),
        Plan(source=SOURCE, stages=STAGES),
        journal=journal(tmp_path / "resume").next_pass("load"),
    )
    assert essence(again) == REFERENCE


def test_a_full_disk_ends_the_journal_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "resume").write_text("a file where the folder should be")
    events = tmp_path / "events.jsonl"
    with EventLog(events) as log:
        kept = Journal(tmp_path / "resume", KEY, 0.0, log).next_pass("load")
        found = run(InlineEngine(EngineConfig()), Plan(source=SOURCE, stages=STAGES), journal=kept)
    assert essence(found) == REFERENCE
    assert events.read_text().count('"event": "not_committed"') == 1


def test_a_short_pass_commits_nothing(tmp_path: Path) -> None:
    kept = journal(tmp_path / "resume", checkpoint_s=60.0).next_pass("load")
    run(InlineEngine(EngineConfig()), Plan(source=SOURCE, stages=STAGES), journal=kept)
    assert not (tmp_path / "resume").exists()


def test_the_key_is_made_once_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_ENV, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    key = resume_key()
    assert key == resume_key()
    path = tmp_path / "raypipe" / "resume.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv(KEY_ENV, "a secret of the cluster")
    assert resume_key() != key
    monkeypatch.delenv(KEY_ENV)
    path.write_bytes(b"short")
    with pytest.raises(ResumeError, match="has 5 bytes; wanted 32"):
        resume_key()


def test_a_lock_is_let_go_of_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "run" / "resume" / "lock"
    holding = "import sys, time; from pathlib import Path; from raypipe.engine.journal import locked\n"
    holding += f"with locked(Path({str(path)!r})):\n    print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(ResumeError, match="a process is still working on .*run"), locked(path):
            pass
        child.kill()
        child.wait()
    with locked(path):
        pass
