"""`raypipe timeline`: finds the log of a run, draws its page, and says in a few lines what took the time."""

from __future__ import annotations

import difflib
import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.markup import escape

from raypipe.config import StorageConfig
from raypipe.errors import ConfigError
from raypipe.insights.words import plain
from raypipe.monitor.facts import facts_of
from raypipe.monitor.limits import Limit, duration, limits_of
from raypipe.monitor.runlog import RunLog
from raypipe.monitor.usage import PassUse, use_of
from raypipe.storage.address import parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.objects import RemoteFolder
from raypipe.storage.ranges import read_whole

LOG = "events.jsonl"
LINE_CHARS = 600
MAX_PASSES = 20
MAX_POOLS = 6
MAX_LIMITS = 8
NAMES_SHOWN = 5


def find_log(run: str, output: Path) -> Path:
    """The log of a run: `run` is its folder, its log, or its name under `output`.

    Raises
    ------
    ConfigError
        If there is none; it names the runs that there are.
    """
    given = Path(run).expanduser()
    under = output.expanduser() / run
    for place in (given, under):
        if place.is_file():
            return place
        if (place / LOG).is_file():
            return place / LOG
    if given.is_dir() or under.is_dir():
        folder = given if given.is_dir() else under
        raise ConfigError(f"timeline: {folder} holds no {LOG}; wanted the folder of a run")
    known = sorted(path.parent.name for path in output.expanduser().glob(f"*/{LOG}"))
    if not known:
        raise ConfigError(f"timeline: there is no run {run!r}, and none under {output}; name its folder, or --output")
    close = difflib.get_close_matches(run, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = ", ".join(known[-NAMES_SHOWN:])
    raise ConfigError(f"timeline: there is no run {run!r} under {output}. The last ones there: {shown}.{hint}")


def fetch_log(run: str, stack: ExitStack) -> tuple[Path, Path]:
    """A copy of the log of a run in a bucket, gone when `stack` is closed; and where its page goes by default.

    Raises
    ------
    ConfigError
        If the address is none.
    ReadError
        If there is no log, or the bucket does not answer.
    """
    storage = resolved(StorageConfig())
    home = RemoteFolder(uri=str(parse_address(run.rstrip("/"))), storage=storage)
    log = Path(stack.enter_context(TemporaryDirectory(prefix="raypipe-log-"))) / LOG
    log.write_bytes(read_whole(str(home.address(LOG)), storage))
    return log, Path(f"{home.uri.rpartition('/')[2]}-timeline.html")


def timeline_json(log: RunLog, page: Path) -> str:
    """Everything that the page shows in numbers, and where the page is."""
    return json.dumps({**facts_of(log), "page": str(page)}, ensure_ascii=True)


def show_timeline(console: Console, log: RunLog, page: Path) -> None:
    """What took the time, what waited for what, what went wrong, and where the page is."""
    resumed = f", in {len(log.sessions)} sessions" if len(log.sessions) > 1 else ""
    console.print(
        f"[bold]run {_line(log.run_id)}[/] {log.status} after {duration(log.seconds)}{resumed}", highlight=False
    )
    went: dict[str, float] = {}
    for band in log.bands:
        went[band.stage] = went.get(band.stage, 0.0) + band.end_s - band.start_s
    longest = sorted(went.items(), key=lambda pair: -pair[1])[:4]
    if longest:
        said = ", ".join(f"{_line(stage)} {duration(seconds)}" for stage, seconds in longest if seconds >= 0.005)
        console.print(f"time      {said}", highlight=False, soft_wrap=True)
    for use in use_of(log)[:MAX_PASSES]:
        console.print(f"{f'pass {use.work.number}':<10}{_pass_line(use)}", highlight=False, soft_wrap=True)
    limits = limits_of(log)
    for title, kind in (("what limited it", False), ("trouble", True)):
        own = [limit for limit in limits if limit.trouble is kind][:MAX_LIMITS]
        if own:
            console.print(f"\n[bold]{title}[/]", highlight=False)
            for limit in own:
                console.print(f"  {_limit_line(limit)}", highlight=False, soft_wrap=True)
    if log.cut_lines:
        console.print(f"\nnote: {log.cut_lines:,} of {log.lines:,} lines of the log could not be read", highlight=False)
    console.print(f"\ntimeline  {page.resolve().as_uri()}", markup=False, highlight=False, soft_wrap=True)


def _pass_line(use: PassUse) -> str:
    work = use.work
    rows = f", {work.rows_in:,} rows" if work.rows_in is not None else ""
    ended = "" if work.finished else ", did not end"
    return f"{_line(work.name) or 'without a name'}: {duration(work.seconds)}{rows}{ended}" + "".join(
        f"; {_pool_words(use, at)}" for at in range(min(len(use.pools), MAX_POOLS))
    )


def _pool_words(use: PassUse, at: int) -> str:
    pool = use.pools[at]
    if use.work.engine == "inline":
        return f"busy {pool.busy_share:.0%}"
    words = [f"{pool.workers} worker{'' if pool.workers == 1 else 's'} busy {pool.busy_share:.0%}"]
    if pool.share(pool.no_work_s) >= 0.02:
        words.append(f"waiting for work {pool.share(pool.no_work_s):.0%}")
    if pool.share(pool.no_room_s) >= 0.02:
        words.append(f"for room {pool.share(pool.no_room_s):.0%}")
    return f"pool {pool.plan.pool + 1}: {', '.join(words)}"


def _limit_line(limit: Limit) -> str:
    return _line(limit.text) + (f" [dim]{_line(limit.advice)}[/]" if limit.advice else "")


def _line(text: str) -> str:
    """Text of a log on one line, without characters that a terminal would obey, and without markup."""
    return escape(plain(text, LINE_CHARS))
