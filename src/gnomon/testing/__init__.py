"""For those who build on gnomon: conformance suites (and what they need) to run against your own parts.

May import anything; nothing imports it. Needs pytest. `executors.py`: the suite every executor of commands passes.
"""
