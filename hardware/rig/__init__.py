"""Devices that nobody can install, played on ptys and sockets with every fault of theirs."""
