"""The machine as gnomon meets it: clock, entropy, locks, the host. The only room that reads time or
randomness. May import: core."""
