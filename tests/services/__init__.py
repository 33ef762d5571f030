"""Real services for tests that need them: process, kafka, redis."""
