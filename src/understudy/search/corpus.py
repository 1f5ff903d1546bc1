"""Files of passages, read as a stream. The layouts are those in which Wikipedia is passed around for retrieval.

* ``title`` and ``text``: BEIR, and DPR's ``psgs_w100.tsv``
* ``contents``, whose first line is the title, maybe in quotes: FlashRAG and Search-R1's ``wiki-18``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from understudy.errors import InputError
from understudy.readers.rows import read_rows
from understudy.task import Passage


def read_passages(path: Path) -> Iterator[Passage]:
    """The passages of a file: JSON Lines, a JSON array, CSV or TSV with a header; each may be gzip.

    Raises:
        InputError: the file can't be read, or a row holds no passage. Raised when iteration gets there.
    """
    for row in read_rows(path):
        try:
            yield to_passage(row.value)
        except ValueError as error:
            raise InputError(f"{row.place}: {error}") from None


def to_passage(record: Mapping[str, Any]) -> Passage:
    """A record in either layout; other fields are ignored.

    Raises:
        ValueError: it is in neither.
    """
    title, text = record.get("title") or "", record.get("text")
    if text is None and isinstance(contents := record.get("contents"), str):
        title, _, text = contents.partition("\n") if "\n" in contents else ("", "", contents)
        title = title[1:-1] if title[:1] == title[-1:] == '"' else title
    if not isinstance(title, str) or not isinstance(text, str):
        raise ValueError("a passage needs the texts 'title' and 'text', or 'contents' with the title in its first line")
    return Passage(title=title, text=text)
