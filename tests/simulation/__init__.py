"""Simulation: workers, log and Redis in one process, and one seed that decides everything that happens."""
