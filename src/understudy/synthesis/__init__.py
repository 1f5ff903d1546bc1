"""From tasks to an audited, crash-safe set of traces."""
