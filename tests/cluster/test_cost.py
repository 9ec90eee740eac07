"""Estimates of cost: from a small table with a date, or from the spec; what is not known is said, never invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from raypipe.cluster.cost import estimate, price_table
from raypipe.errors import ConfigError
from tests.cluster.shipped import ROOT, SPEC, shipped
from tests.warm import run_raypipe


@pytest.mark.parametrize("target", ["aws", "gcp", "azure"])
def test_the_shipped_cluster_has_an_estimate_everywhere(target: str) -> None:
    made = estimate(shipped(), target)  # type: ignore[arg-type]
    assert made.complete
    assert [line.name for line in made.lines] == ["head", "cpu", "cpu-spot", "gpu"]
    assert 0 < made.idle <= made.expected <= made.full
    assert made.idle == made.lines[0].per_hour  # idle, only the head runs


def test_sums_are_those_of_prices_nodes_and_duty() -> None:
    head, cpu, spot, gpu = estimate(shipped(), "aws").lines
    assert (head.idle, head.expected, head.full) == (0.20, 0.20, 0.20)
    assert (cpu.idle, cpu.expected, cpu.full) == (0.0, 0.40, 1.60)  # a quarter of four machines at 0.40
    assert (spot.expected, spot.full) == (2.0, 8.0)
    assert "upper bound" in spot.note
    assert (gpu.expected, gpu.full) == (0.1, 1.96)  # a twentieth of two


def test_a_price_of_the_spec_wins_over_the_table() -> None:
    spec = shipped()
    pools = (spec.pools[0].replace(price_per_hour={"aws": 0.333}), *spec.pools[1:])
    line = estimate(spec.replace(pools=pools), "aws").lines[1]
    assert (line.per_hour, line.basis, line.full) == (0.333, "your price", 1.33)


def test_a_machine_without_a_price_is_said_and_makes_the_sum_a_lower_bound(tmp_path: Path) -> None:
    values = yaml.safe_load(SPEC.read_text(encoding="utf-8"))
    for pool in values["pools"][:2]:
        pool["machine"]["aws"] = "x99.huge"
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(values))
    done = run_raypipe("cluster", "cost", path, cwd=ROOT)
    assert "not available, because the table has no price of x99.huge" in done.stdout
    assert "at least 2.16" in done.stdout
    told = json.loads(run_raypipe("cluster", "cost", path, "--json", cwd=ROOT).stdout)
    assert told["complete"] is False
    assert told["lines"][1]["per_hour"] is None


def test_another_region_than_that_of_the_table_is_said() -> None:
    spec = shipped()
    assert spec.aws is not None
    moved = spec.replace(aws=spec.aws.replace(region="eu-central-1", zones=("eu-central-1a",)))
    assert "of us-west-2; yours is eu-central-1" in estimate(moved, "aws").lines[1].note


def test_a_cloud_without_machines_is_told() -> None:
    spec = shipped()
    pools = tuple(pool.replace(machine={"aws": "m7i.large"}) for pool in spec.pools)
    with pytest.raises(ConfigError, match="no pool names a machine on gcp"):
        estimate(spec.replace(pools=pools), "gcp")


def test_the_table_has_a_date_a_source_and_no_more_than_two_digits() -> None:
    table = price_table()
    assert table.month.count("-") == 1
    for cloud, prices in table.prices.items():
        assert table.sources[cloud].page.startswith("https://")
        assert all(round(price, 2) == price for price in prices.values())
