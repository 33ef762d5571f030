"""Redis: `redis` (versioned writes), `embedded` (a server of our own)."""
