"""Measurements, a script a claim; `run` finds and runs them."""
