"""What can be asked of a server, as data: one function for each operation of REST, with its parameters and its answer.

Names and parameters are those of the OpenAPI document; tests/unit/remote/test_calls.py holds both together.
"""
