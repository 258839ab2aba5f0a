"""The two ways to have SCTP behind one contract: `kernel` and `userland`; `contract` says what a channel is."""
