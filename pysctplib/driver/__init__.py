"""One engine with its carriers and its port space; no event loop and no thread of its own."""

from .run import run, turn
from .stack import Stack, StackConfig

__all__ = ["Stack", "StackConfig", "run", "turn"]
