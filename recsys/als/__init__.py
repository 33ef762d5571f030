"""Implicit-feedback ALS: from who touched what to vectors, in the order a model comes to be and serves.

- `interactions`: clicks in, the bounded matrix of confidences out
- `fit`: all users and items at once, by `implicit`
- `content`: from a product's vectors to factors, for products nobody has touched
- `training`: the two together, the next version
- `gram`, `fold_in`: one user against fixed items, exactly
- `retrieval`, `model`: one version of the factors, ready to serve
"""
