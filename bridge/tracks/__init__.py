"""The recorded tracks of a call: found by name, repaired, hashed, placed in time, joined."""
