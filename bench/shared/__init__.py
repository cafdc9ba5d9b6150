"""What the benches share: the form of a record, and one real cluster to measure on."""
