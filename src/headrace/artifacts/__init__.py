"""Where artifacts live: takes them in, hashed and whole, and gives them back; knows nothing of runs or executors."""
