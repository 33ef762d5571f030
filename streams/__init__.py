"""The shells round the core: Kafka, Faust, Redis, files.

Read in this order: `settings`, `topics`, `wire` (messages), `log` (Kafka and embedded),
`agents` (embed, recommend), `views` (compacted topics followed live), `stores` (Redis),
`snapshots`, `trainer`, `wiring` (settings -> objects).
"""
