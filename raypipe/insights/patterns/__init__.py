"""Patterns across columns: clusters, anomalies, rules, dependencies and a map, each with its test."""
