"""Shoppers who keep to one kind of product each: what a model must learn of them can be said beforehand."""

import numpy as np
from scipy.sparse import csr_matrix


def kinds_matrix(n_kinds: int = 4, items_per_kind: int = 10, users_per_kind: int = 15, seed: int = 0) -> csr_matrix:
    """Confidence 3 where a user of kind k touched an item of kind k; item i is of kind i // items_per_kind."""
    rng = np.random.default_rng(seed)
    users, items = [], []
    for user in range(n_kinds * users_per_kind):
        kind = user // users_per_kind
        chosen = rng.choice(items_per_kind, size=items_per_kind * 2 // 3, replace=False) + kind * items_per_kind
        users += [user] * len(chosen)
        items += chosen.tolist()
    shape = (n_kinds * users_per_kind, n_kinds * items_per_kind)
    return csr_matrix((np.full(len(users), 3.0, dtype=np.float32), (users, items)), shape=shape)
