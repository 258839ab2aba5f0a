"""What is behind `rserpool.api`: RSPLIB's blocking functions over a loop in a thread of its own."""
