"""Pure functions on one block (a `pa.Table`), and summaries of blocks that merge."""
