"""What runs inside the user's process: reads inputs from files, calls the function, writes outputs to files.

It uses no server and no network, and only the standard library of Python 3.9.
"""
