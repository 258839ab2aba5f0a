"""Explains messages to people: what is said, by whom, where the RFC tells more. For traces and lessons."""

from .messages import Explained, explain_datagram, explain_user_message

__all__ = ["Explained", "explain_datagram", "explain_user_message"]
