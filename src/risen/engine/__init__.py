"""The loop: observe, decide, check, act, record. It waits only through the Clock and never keeps a copy of the truth."""
