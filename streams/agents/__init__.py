"""The Faust agents: `batches`, `embed`, `recommend`."""
