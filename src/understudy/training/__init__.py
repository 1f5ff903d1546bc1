"""Training: rendering, generation engines, SFT and GRPO. The only room, with ``lab.base``, that imports torch."""

import os

# TRL reports each trainer that is made to its hub. Nothing leaves the machine unless the user says so.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
