"""The pure core: values in, values out; no clock, socket, file or environment.

Read in this order:

- `errors`, `types`, `events`, `ids`: the words that all rooms share
- `confidence`, `history`: what one user did, and how much each deed counts
- `als`: implicit-feedback factors, and the exact fold-in of one user
- `catalogue`, `index`, `search`: the products, their vectors, and looking among them
- `trends`: decayed popularity and co-occurrence
- `candidates`, `rank`, `refresh`: one interaction in, a fresh list out, as data
- `metrics`, `evaluate`: how good the lists are, test-then-learn
"""
