"""Understudy: train tool-using language-model agents on stand-ins for live tools.

The nouns live in ``task``, ``contract``, ``trace`` and ``world``; everything turns on ``rollout.rollout``.
Importing this package needs no torch.
"""

__version__ = "0.1.0"
