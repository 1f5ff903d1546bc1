"""Nothing is sent anywhere unless the user asks for it."""

import subprocess
import sys


def test_training_turns_the_telemetry_of_its_libraries_off():
    script = "import understudy.training.sft, huggingface_hub.constants as c; print(c.HF_HUB_DISABLE_TELEMETRY)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env={})
    assert found.stdout.strip() == "True"
