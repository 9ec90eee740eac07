"""What an analyst would say about a table: one module a field, one function a kind of finding."""
