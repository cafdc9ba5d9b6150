"""Small Protocols between what decides and the real world (or the simulator). Errors are in `errors`."""
