"""Contracts: suites of behaviours that every implementation of a protocol passes."""
