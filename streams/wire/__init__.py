"""Messages: bytes <-> `recsys.events`, with limits, aliases, schemas."""
