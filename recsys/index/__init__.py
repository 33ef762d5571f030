"""The live index, read in this order.

`postings` (value -> rows), `mask`, `mutable` (exact segment), `measure` (a length a row), `lens` and `bridge` (what the
shop's own products teach of how vectors compare), `aim` (what a query asks of a segment); `planning`, `sealed`, `cover`
and `sealing` (an immutable FAISS index over a large segment, and when it is made anew); `live` (parts of many
segments), `sighting` (learning a lens and a bridge).
"""
