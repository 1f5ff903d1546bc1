"""What goes to the Hub, and only when asked. The Hub is a fake that keeps what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filmteacher import run
from understudy.errors import InputError
from understudy.synthesis.dataset import export_dataset
from understudy.synthesis.push import push
from understudy.synthesis.store import RunFolder

hub = pytest.importorskip("huggingface_hub")


class FakeApi:
    """Stands for ``HfApi``."""

    said: list[tuple[str, dict[str, Any]]]
    error: Exception | None = None

    def create_repo(self, repo_id: str, **options: Any) -> str:
        self.said.append(("create", {"repo_id": repo_id, **options}))
        if self.error:
            raise self.error
        return f"https://hub.test/datasets/{repo_id}"

    def upload_folder(self, **options: Any) -> None:
        self.said.append(("upload", options))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[FakeApi]:
    fake = type("Fresh", (FakeApi,), {"said": []})
    monkeypatch.setattr(hub, "HfApi", fake)
    return fake


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made")
    run(path, 20)
    export_dataset(RunFolder(path))
    return path


def test_the_data_set_goes_up_and_nothing_else(made: Path, api: type[FakeApi]) -> None:
    assert push(made, "me/films") == "https://hub.test/datasets/me/films"
    (_, created), (_, uploaded) = api.said
    assert created == {"repo_id": "me/films", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert uploaded["folder_path"] == str(made / "dataset")
    assert uploaded["allow_patterns"] == ["README.md", "data/*.parquet"]
    assert uploaded["commit_message"] == "11 traces"


def test_public_only_when_asked(made: Path, api: type[FakeApi]) -> None:
    push(made, "me/films", public=True)
    assert api.said[0][1]["private"] is False


@pytest.mark.parametrize("repository", ["films", "me/films/more", "../films", "me/", "https://hub.test/me/films"])
def test_other_names_are_refused(made: Path, api: type[FakeApi], repository: str) -> None:
    with pytest.raises(InputError, match="expected OWNER/NAME"):
        push(made, repository)
    assert api.said == []


def test_without_a_data_set_nothing_is_asked_of_the_hub(tmp_path: Path, api: type[FakeApi]) -> None:
    with pytest.raises(InputError, match="has no dataset/ to push"):
        push(tmp_path, "me/films")
    assert api.said == []


def test_a_broken_data_set_stays_here(tmp_path: Path, api: type[FakeApi]) -> None:
    run(tmp_path, 20)
    export_dataset(RunFolder(tmp_path))
    (tmp_path / "dataset" / "data" / "more.jsonl").write_text('{"messages": []}\n')
    with pytest.raises(InputError, match=r"not pushed, 1 problems \(more\.jsonl:1"):
        push(tmp_path, "me/films")
    assert api.said == []


def test_a_refusal_of_the_hub_is_one_line(made: Path, api: type[FakeApi]) -> None:
    api.error = OSError("401 Unauthorized\nsecond line")
    with pytest.raises(InputError, match=r"me/films: the Hub refuses \(401 Unauthorized\); is HF_TOKEN set"):
        push(made, "me/films")
