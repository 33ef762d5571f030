"""The pure core: values in, values out; no clock, socket, file or environment.

Read in this order:

- `errors`, `types`, `events`, `records`, `ids`: the words that all rooms share
- `history`, `confidence`: what one user did, and how much each deed counts
- `versions`, `item_table`, `trends`: what is newer, rows of items, decayed popularity and co-occurrence
- `als`: implicit-feedback factors, and the exact fold-in of one user
- `index`, `words`, `filters`, `catalogue`, `catalogue_snapshot`: the products, their vectors and words
- `search`, `neighbours`: looking among them
- `candidates`, `rank`, `refresh`: one interaction in, a fresh list out, as data
- `metrics`, `evaluation`: how good the lists are, test-then-learn
"""
