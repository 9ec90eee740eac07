"""Checks of the files of a cluster: each finding has a rule, a line, what is wrong and what to write in its place."""
