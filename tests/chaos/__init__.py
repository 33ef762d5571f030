"""Faults under load, in the numbers that every change is tested with; `make chaos` runs more of the same."""
