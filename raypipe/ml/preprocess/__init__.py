"""From columns of a table to the numbers that estimators take; fitted inside the folds, always."""
