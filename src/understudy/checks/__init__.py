"""What can be checked about a trace without a model: one implementation, used by audit and reward alike."""
