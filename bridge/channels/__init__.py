"""Wires that orders and case documents go over: e-mail, the link to the 12345 platform.

Each edge carries and tells; what follows from it is decided elsewhere.
"""
