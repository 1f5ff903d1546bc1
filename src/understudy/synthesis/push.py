"""The data set of a run, on the Hugging Face Hub. Nothing is uploaded unless this is called."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from understudy.errors import InputError, needs_extra
from understudy.synthesis.dataset import FILE
from understudy.synthesis.store import DATASET
from understudy.synthesis.validate import validate

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


def push(run: Path, repository: str, public: bool = False) -> str:
    """Upload ``dataset/`` of a run folder, and nothing else of it.

    The token is the one that ``hf auth login`` saved, or that ``HF_TOKEN`` holds.

    Args:
        run: the run folder.
        repository: ``OWNER/NAME``; made if there is none.
        public: whether a repository that is made can be seen by everybody. One that exists stays as it is.

    Returns:
        Where it lies now.

    Raises:
        InputError: there is no data set, a trace in it is broken, or the Hub refuses.
        MissingExtraError: ``huggingface_hub`` is not installed.
    """
    folder = run / DATASET
    if not (folder / FILE).exists():
        raise InputError(f"{run}: has no {DATASET}/ to push; run understudy synth to its end first")
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(f"{repository!r} is no repository; expected OWNER/NAME")
    found = validate(folder)
    if found.count:
        first = found.problems[0]
        raise InputError(f"{folder}: not pushed, {found.count} problems ({first.where}: {first.what})")
    with needs_extra("eval"):
        hub = importlib.import_module("huggingface_hub")
    try:
        api = hub.HfApi()
        url = api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=str(folder),
            allow_patterns=["README.md", "data/*.parquet"],
            commit_message=f"{found.traces} traces",
        )
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(f"{repository}: the Hub refuses ({line[:200]}); is HF_TOKEN set, and may it write?") from None
    return str(url)
