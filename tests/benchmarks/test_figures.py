"""From samples to ratios and bars: arithmetic that a claim about speed rests on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.figures import Bar, judge, median_s, report, summary
from benchmarks.harness import Contender, Meeting, Options, Sample, parse
from benchmarks.process import ROOT, ContenderAbsentError, ContenderError


def _options(folder: Path, rounds: int = 3) -> Options:
    return Options(
        rounds=rounds,
        slow_rounds=1,
        quick=False,
        peers=folder / "no-such-python",
        data=folder,
        results=folder,
        timeout_s=10.0,
        only=(),
        extra=argparse.Namespace(rounds=rounds, peers=folder, quick=False),
    )


def _sample(seconds: float, number: int = 0, rss: float = 100.0) -> Sample:
    return Sample(number, seconds, {}, 0.5, rss, rss, {"load_1min": 0.0, "busy_share": 0.0})


def _meeting(folder: Path, **seconds: list[float]) -> Meeting:
    meeting = Meeting(_options(folder), [Contender(name, "none") for name in seconds])
    meeting.samples["case"] = {
        name: [_sample(one, at) for at, one in enumerate(taken)] for name, taken in seconds.items()
    }
    return meeting


def test_ratio_is_of_medians_and_its_spread_of_the_same_rounds(tmp_path: Path) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.0, 2.0, 9.0], peer=[4.0, 4.0, 9.0])
    entry = summary(meeting, "raypipe")[1]
    assert (entry["median_s"], entry["ratio"]) == (4.0, 0.5)
    assert (entry["ratio_min"], entry["ratio_max"]) == (0.25, 1.0)


def test_a_slow_peer_is_compared_with_the_rounds_that_it_ran_in(tmp_path: Path) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.0, 8.0, 8.0], peer=[4.0])
    assert summary(meeting, "raypipe")[1]["ratio"] == 0.25
    assert judge(Bar("", "case", "raypipe", "peer", times_faster=4.0), meeting).got == 4.0


@pytest.mark.parametrize(("wanted", "met"), [(1.5, True), (2.0, True), (2.1, False)])
def test_bar_of_speed_compares_medians(tmp_path: Path, wanted: float, met: bool) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.0, 2.0, 2.0], peer=[4.0, 4.0, 1.0])
    judged = judge(Bar("faster", "case", "raypipe", "peer", times_faster=wanted), meeting)
    assert (judged.got, judged.met) == (2.0, met)


def test_bar_of_slowness_is_met_up_to_its_factor(tmp_path: Path) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.2], peer=[1.0])
    assert judge(Bar("", "case", "raypipe", "peer", times_longer=1.3), meeting).met
    assert not judge(Bar("", "case", "raypipe", "peer", times_longer=1.1), meeting).met


def test_bar_of_memory_looks_at_the_worst_run(tmp_path: Path) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.0])
    meeting.samples["case"]["raypipe"].append(_sample(1.0, rss=500.0))
    assert judge(Bar("", "case", max_rss_mib=500.0), meeting).met
    assert not judge(Bar("", "case", max_rss_mib=499.0), meeting).met


def test_a_peer_that_was_not_measured_leaves_the_bar_open(tmp_path: Path) -> None:
    judged = judge(Bar("", "case", "raypipe", "peer", times_faster=1.0), _meeting(tmp_path, raypipe=[1.0]))
    assert (judged.got, judged.met) == (None, None)


def test_contenders_take_turns_and_slow_ones_sit_out_later_rounds(tmp_path: Path) -> None:
    meeting = Meeting(_options(tmp_path), [Contender("a", "m", "raypipe"), Contender("b", "m", "raypipe", slow=True)])
    turns: list[str] = []
    meeting.run(lambda _, contender: turns.append(contender.name))
    assert turns == ["a", "b", "a", "a"]


def test_one_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    meeting = Meeting(_options(tmp_path), [Contender("a", "m", "raypipe"), Contender("b", "m", "raypipe")])
    turns: list[str] = []

    def turn(_: Meeting, contender: Contender) -> None:
        turns.append(contender.name)
        if contender.name == "a":
            raise ContenderError(f"a: out of breath in {ROOT}\nand its trace")

    meeting.run(turn)
    assert turns == ["a", "b", "b", "b"]
    assert meeting.failed == {"a": "a: out of breath in ."}


def test_missing_packages_and_a_missing_python_are_no_failures(tmp_path: Path) -> None:
    meeting = Meeting(_options(tmp_path), [Contender("a", "m", "raypipe"), Contender("b", "m", "peers")])

    def turn(_: Meeting, contender: Contender) -> None:
        raise ContenderAbsentError(f"{contender.name}: no module")

    meeting.run(turn)
    assert not meeting.failed
    assert meeting.absent["a"] == "a: no module"
    assert "make bench" in meeting.absent["b"]


def test_report_names_no_path_and_no_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meeting = _meeting(tmp_path, raypipe=[1.0, 1.0, 1.0])
    meeting.absent["peer"] = "no Python"
    assert report("sums", meeting, [Bar("open", "case", "raypipe", "peer", times_faster=2.0)]) == 0
    text = (tmp_path / "sums.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert str(tmp_path) not in text
    assert not (set(document["machine"]) & {"host", "node", "user"})
    assert document["command"] == "python -m benchmarks.sums --rounds 3"
    assert document["bars"] == [{"text": "open", "wanted": 2.0, "got": None, "met": None}]
    assert document["quotable"]
    assert "not measured" in capsys.readouterr().out


def test_fewer_than_three_rounds_are_marked_as_not_quotable(tmp_path: Path) -> None:
    meeting = Meeting(_options(tmp_path, rounds=2), [])
    report("few", meeting, [])
    assert not json.loads((tmp_path / "few.json").read_text(encoding="utf-8"))["quotable"]


def test_rounds_below_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse("", None, ["--rounds", "0"])
    assert "wanted 1 or more" in capsys.readouterr().err


def test_median_of_one_is_that_one() -> None:
    assert median_s([_sample(3.0)]) == 3.0
