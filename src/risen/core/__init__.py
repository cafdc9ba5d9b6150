"""The pure middle: what is wanted, what is seen, what is next. No I/O, no clock, no randomness."""
