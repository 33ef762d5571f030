"""The live index: `postings` (value -> rows), `mutable` (exact segment), `live` (parts of many segments)."""
