"""What one attempt is given and must give back, in whichever place it runs: a machine, a container, a pod.

An executor gets a `LaunchOrder`, calls `fetch` before the user's code and `ship` after it, and has an `AttemptResult`.
Both work with nothing but the order, a `Layout` of directories and an `ArtifactAccess`, so they run in the server's
process for attempts on this machine and in a process of their own beside a pod's main container.
This room never knows of processes, of a database, or of who runs an attempt.
"""
