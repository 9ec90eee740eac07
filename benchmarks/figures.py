"""From samples to figures: medians, ratios, bars, a table to read and a JSON file to keep."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import MIN_ROUNDS, Meeting, Sample
from benchmarks.machine import commit, machine
from benchmarks.process import ROOT

FORMAT = 1


@dataclass(frozen=True)
class Bar:
    """A figure that design asks for. Exactly one of the three limits is set."""

    text: str
    case: str
    contender: str = "raypipe"
    peer: str | None = None
    times_faster: float | None = None
    """Median of the peer over median of the contender, at least this."""
    times_longer: float | None = None
    """Median of the contender over median of the peer, at most this."""
    max_rss_mib: float | None = None
    """Peak of the contender's driver and workers."""
    peer_case: str | None = None
    """Case of the peer, where it is another one."""


@dataclass(frozen=True)
class Judged:
    """A bar, and what was measured."""

    text: str
    wanted: float
    got: float | None
    met: bool | None
    """None: not measured."""


def judge(bar: Bar, meeting: Meeting) -> Judged:
    """Hold one bar to the samples."""
    mine = meeting.samples.get(bar.case, {}).get(bar.contender, [])
    theirs = meeting.samples.get(bar.peer_case or bar.case, {}).get(bar.peer or "", [])
    wanted = bar.times_faster or bar.times_longer or bar.max_rss_mib or 0.0
    if not mine or (bar.peer is not None and not theirs):
        return Judged(bar.text, wanted, None, None)
    if bar.max_rss_mib is not None:
        got = max(sample.main_rss_mib for sample in mine)
        return Judged(bar.text, wanted, got, got <= wanted)
    ratio = median_s(theirs) / median_s(_of_rounds(mine, theirs))
    if bar.times_faster is not None:
        return Judged(bar.text, wanted, round(ratio, 3), ratio >= wanted)
    return Judged(bar.text, wanted, round(1 / ratio, 3), 1 / ratio <= wanted)


def median_s(samples: Sequence[Sample]) -> float:
    """Median of the wall times."""
    return statistics.median(sample.seconds for sample in samples)


def _of_rounds(samples: Sequence[Sample], like: Sequence[Sample]) -> list[Sample]:
    """Those samples of rounds that the others have too: a slow peer that ran once is compared with that round."""
    rounds = {sample.round for sample in like}
    return [sample for sample in samples if sample.round in rounds] or list(samples)


def summary(meeting: Meeting, base: str) -> list[dict[str, Any]]:
    """One entry a case and contender. `ratio` is `base` over it, of the same rounds: below 1, `base` is the faster."""
    entries = []
    for case, by_name in meeting.samples.items():
        ours = by_name.get(base, [])
        for name, samples in by_name.items():
            seconds = [sample.seconds for sample in samples]
            entry: dict[str, Any] = {
                "case": case,
                "contender": name,
                "rounds": len(samples),
                "median_s": round(statistics.median(seconds), 4),
                "min_s": min(seconds),
                "max_s": max(seconds),
                "cpu_s": round(statistics.median(sample.cpu_s for sample in samples), 2),
                "peak_rss_mib": max(sample.main_rss_mib for sample in samples),
                "peak_tree_pss_mib": max(sample.tree_pss_mib for sample in samples),
            }
            if ours and name != base:
                same = _of_rounds(ours, samples)
                paired = [one.seconds / two.seconds for one, two in zip(same, samples, strict=False)]
                entry["ratio"] = round(median_s(same) / median_s(samples), 4)
                entry["ratio_min"], entry["ratio_max"] = round(min(paired), 4), round(max(paired), 4)
            entries.append(entry)
    return entries


def report(name: str, meeting: Meeting, bars: Sequence[Bar], base: str = "raypipe", notes: Sequence[str] = ()) -> int:
    """Write the JSON, print the table; the exit code is 1 if a contender failed."""
    judged = [judge(bar, meeting) for bar in bars]
    entries = summary(meeting, base)
    options = meeting.options
    runs = [
        {"case": case, "contender": who, **asdict(sample)}
        for case, by_name in meeting.samples.items()
        for who, samples in by_name.items()
        for sample in samples
    ]
    document = {
        "format": FORMAT,
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"python -m benchmarks.{_module(name)} {_flags(meeting)}".strip(),
        "commit": commit(),
        "quotable": options.rounds >= MIN_ROUNDS and not options.quick,
        "machine": machine(),
        "notes": list(notes),
        "bars": [asdict(one) for one in judged],
        "figures": entries,
        "not_measured": meeting.absent,
        "failed": meeting.failed,
        "runs": runs,
        "packages": meeting.packages,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(name, entries, judged, meeting, notes)
    return 1 if meeting.failed else 0


def _module(name: str) -> str:
    """The script that a report is of: some have several reports."""
    return name if (ROOT / "benchmarks" / f"{name}.py").exists() else name.split("_")[0]


def _flags(meeting: Meeting) -> str:
    """The flags that shape the figures; no paths."""
    hidden = {"peers", "data", "results", "timeout"}
    given = {key: value for key, value in vars(meeting.options.extra).items() if key not in hidden and value}
    words = []
    for key, value in given.items():
        flag = f"--{key.replace('_', '-')}"
        words.append(flag if value is True else f"{flag} {' '.join(map(str, value)) if _many(value) else value}")
    return " ".join(words)


def _many(value: object) -> bool:
    return isinstance(value, (list, tuple))


def show(
    name: str, entries: Sequence[dict[str, Any]], judged: Sequence[Judged], meeting: Meeting, notes: Sequence[str]
) -> None:
    """Figures and bars as tables on standard output."""
    console = Console(width=140)
    table = Table(
        "case", "contender", "rounds", "median s", "min", "max", "CPU s", "RSS MiB", "raypipe / it", title=name
    )
    for entry in entries:
        ratio = ""
        if "ratio" in entry:
            ratio = f"{entry['ratio']:.3f} ({entry['ratio_min']:.3f}-{entry['ratio_max']:.3f})"
        seconds = [f"{entry[key]:.3f}" for key in ("median_s", "min_s", "max_s")]
        table.add_row(
            entry["case"], entry["contender"], str(entry["rounds"]), *seconds,
            f"{entry['cpu_s']:.1f}", f"{entry['peak_rss_mib']:.0f}", ratio,
        )  # fmt: skip
    console.print(table)
    bars = Table("bar", "wanted", "got", "met")
    for one in judged:
        met = {True: "yes", False: "NO", None: "not measured"}[one.met]
        bars.add_row(one.text, f"{one.wanted:g}", "" if one.got is None else f"{one.got:g}", met)
    console.print(bars)
    for text in notes:
        console.print(f"note: {text}", markup=False, highlight=False)
    for who, why in {**meeting.absent, **meeting.failed}.items():
        console.print(f"{who}: not measured: {why}", markup=False, highlight=False)
