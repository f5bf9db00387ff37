"""The shell: records what happened, asks the engine what to do, has it done; it never knows over which wire."""
