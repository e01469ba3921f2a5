"""Throughput side by side with peers: `python -m benchmarks W1 --peer sb3 --runs 3`."""
