"""The live index: `postings` (value -> rows), `mutable` (exact segment), `measure` (a length a row),
`lens` and `bridge` (what the shop's own products teach of how vectors compare), `aim` (what a query asks of a segment),
`live` (parts of many segments), `sighting` (learning a lens and a bridge)."""
