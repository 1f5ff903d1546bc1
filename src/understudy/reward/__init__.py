"""The composite trace reward: correctness, consistency and format."""
