"""The live index: `mutable` (exact, FAISS), `live` (what callers see)."""
