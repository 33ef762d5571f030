"""The log, twice: `base` (the protocol), `partitioner`, `kafka`, `embedded`; `faust_safe`, `faust_kafka`, `faust_embedded` (Faust's side)."""
