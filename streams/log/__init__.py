"""The log: `base` (the protocol), `partitioner`, `open` (which log the settings name), the two logs, Faust's side.

`kafka`; `embedded` with its parts `embedded_*`; `faust_kafka`, `faust_embedded` (Faust transports) with what
they share: `faust_safe`, `faust_delivery`.
"""
