"""Messages: bytes <-> `recsys.events`, with limits, aliases, schemas.

Read in this order: `limits`, `times`, `reading` (an object, field by field), `aliases` (GA4, Segment), `cloud_events`,
`keys`, `click` (the hot path), `click_spellings`, `product`, `lists`, `factors`, `activity`, `erasure`,
`campaign`, `forms`, `schemas`, `asyncapi`.
"""
