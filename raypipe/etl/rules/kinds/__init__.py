"""The rules, a module a group; `raypipe.etl.rules.registry` lists them."""
