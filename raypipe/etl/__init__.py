"""From files to checked, cleaned rows: readers, rules, steps, writers."""
