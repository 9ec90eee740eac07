"""Runs plans: on Ray actors that pass Arrow blocks through the object store, or in this process."""
