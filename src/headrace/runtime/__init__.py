"""What runs inside the user's process: reads inputs from files, calls the function, writes outputs to files.

Knows neither the server nor the network, and needs nothing but the standard library of Python 3.9.
"""
