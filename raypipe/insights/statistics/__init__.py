"""Statistics of columns and of pairs of columns, each with how sure it is."""
