"""Benchmarks: ``python -m tests.bench`` (``make bench``). pytest collects nothing here, no time is asserted."""
