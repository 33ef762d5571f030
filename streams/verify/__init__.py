"""Compares a running deployment with the reference fold of its log; nothing is written.

`report` (what was found), `clicks` (states, counts, dead letters, lists' versions), `products` (catalogue, hidden
items, cards), `lists` (lists made again from what they name), `run` (all of it).
"""
