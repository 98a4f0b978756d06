"""One metric a file: what it needs, its protocol, how it is computed, its floor and its error.

A new one is a file here and a name in one of the two lists; records of before stay comparable.
"""
