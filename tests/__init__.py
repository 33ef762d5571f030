"""Tests mirror the packages; besides: contracts (one suite, every implementation), services (real Kafka and Redis)."""
