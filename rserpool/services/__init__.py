"""The services of the example programs: message formats and both ends."""
