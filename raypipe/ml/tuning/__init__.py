"""Searching parameters: who proposes trials, where their folds run, what is kept of them, and when to stop."""
