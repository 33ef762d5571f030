"""Implicit-feedback ALS: `gram`, `fold_in`, `model`, `fit`, `content`."""
