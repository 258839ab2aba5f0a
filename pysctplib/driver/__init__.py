"""One engine with its carriers and its port space; no event loop and no thread of its own."""
