"""The pure core: values in, values out; no clock, socket, file or environment.

Read in this order:

- `errors`, `types`, `events`, `records`, `ids`: the words that all rooms share
- `history`, `confidence`: what one user did, and how much each deed counts
- `versions`, `item_table`, `counts`, `trends`: what is newer, rows of items, decayed popularity and co-occurrence
- `als`: implicit-feedback factors, and the exact fold-in of one user
- `index`, `words`, `filters`: what products are found by
- `catalogue_rows`, `catalogue`, `catalogue_snapshot`: the products themselves
- `search`, `neighbours`, `same_pictures`: looking among them
- `evidence`, `candidates`, `ranker`, `rank`, `refresh`: one interaction in, a fresh list out, as data
- `choices`, `ranker_training`, `learner`, `ranker_school`: what was chosen teaches the ranker
- `metrics`, `evaluation`: how good the lists are, test-then-learn
"""
