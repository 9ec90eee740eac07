"""Cleaning a table: which steps of a list run, fitted pass by pass, saved, and applied to new data."""
