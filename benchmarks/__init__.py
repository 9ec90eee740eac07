"""Measurements beside the peers, and the data that demo and measurements use."""
