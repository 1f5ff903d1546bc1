"""BM25 on disk, for as many passages as there are: built once from a stream, then memory-mapped.

An index is a folder that appears whole or not at all. It is built beside, under a name that ends in ``.building``;
what a killed build leaves there is thrown away by the next one.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import orjson
import tantivy

from understudy.errors import InputError, SimulatorError
from understudy.jsonl import disk_error, read_json, write_json
from understudy.search.identity import Identity
from understudy.search.ranking import ANALYZER, CANDIDATES, Candidate, best, query_words, searchable
from understudy.search.retriever import DEFAULT_K, Hit
from understudy.task import Passage

MANIFEST = "understudy.json"
FORMAT = 1
_HEAP_BYTES = 256 << 20  # of the writer; more gives fewer segments, and no fewer in the end
_REPORT_EVERY = 10_000


class DiskIndex:
    """A ``Retriever`` over an index on disk. Make one with ``build``, or ``open`` one that is built.

    Memory holds little more than the pages of the index that searches touch, and those the system may drop.
    """

    def __init__(self, path: Path, index: tantivy.Index, passages: int, name: str) -> None:
        self.path = path
        self.passages = passages
        self.name = name
        self._schema = index.schema
        self._searcher = index.searcher()

    @classmethod
    def build(cls, path: Path, passages: Iterable[Passage], on_progress: Callable[[int], None] | None = None) -> Self:
        """Index passages, which are read once and not kept.

        Args:
            path: folder of the index; must not exist.
            passages: what to index.
            on_progress: called with the number of passages so far, every 10,000.

        Raises:
            InputError: the folder exists, there are no passages, or the disk refuses.
        """
        if path.exists():
            raise InputError(f"{path}: exists already; use it, remove it, or choose another folder")
        draft = path.with_name(f"{path.name}.building")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            identity = _write(draft, passages, on_progress)
            write_json(draft / MANIFEST, {"format": FORMAT, "passages": identity.passages, "identity": str(identity)})
            draft.replace(path)
        except OSError as error:
            raise disk_error(path, error) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)  # half an index serves nobody, and may be what filled the disk
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an index that ``build`` made.

        Raises:
            InputError: there is none, or it is damaged or of another version.
        """
        manifest = read_json(path / MANIFEST) if (path / MANIFEST).exists() else None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise InputError(f"{path}: no search index of this version; run: understudy index PASSAGES --out FOLDER")
        try:
            index = tantivy.Index.open(str(path))
            index.register_tokenizer("words", ANALYZER)
            return cls(path, index, manifest["passages"], f"bm25-disk:{manifest['identity']}")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: the index is damaged ({error}); remove it and build it again") from None

    async def search(self, queries: Sequence[str], k: int = DEFAULT_K) -> list[list[Hit]]:
        """At most ``k`` hits for each query, best first; none where no word matches.

        Raises:
            SimulatorError: the index can't be read any more.
        """
        return await asyncio.to_thread(lambda: [self._search(query, k) for query in queries])

    def _search(self, query: str, k: int) -> list[Hit]:
        wanted = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "words", word, index_option="freq"))
            for word in query_words(query)
        ]
        try:
            found = self._searcher.search(tantivy.Query.boolean_query(wanted), max(k, CANDIDATES), count=False).hits
            candidates = [self._candidate(score, address) for score, address in found]
        except (OSError, ValueError) as error:
            raise SimulatorError(f"{self.path}: the index can't be read ({error})") from None
        return best(query, candidates, k)

    def _candidate(self, score: float, address: tantivy.DocAddress) -> Candidate:
        (stored,) = self._searcher.doc(address)["passage"]
        row, title, text = orjson.loads(bytes(stored))
        return Candidate(row, score, Passage(title=title, text=text))


def _write(folder: Path, passages: Iterable[Passage], on_progress: Callable[[int], None] | None) -> Identity:
    index, identity = tantivy.Index(_schema(), str(folder)), Identity()
    index.register_tokenizer("words", ANALYZER)
    try:
        # One thread, so that rows are in the order of passages. Not as a context manager: that one hides failures.
        writer = index.writer(_HEAP_BYTES, num_threads=1)
        try:
            for passage in passages:
                row = orjson.dumps([identity.passages, passage.title, passage.text])
                writer.add_document(tantivy.Document(words=searchable(passage), passage=row))
                identity.add(passage)
                if on_progress and identity.passages % _REPORT_EVERY == 0:
                    on_progress(identity.passages)
            writer.commit()
            writer.wait_merging_threads()
        finally:
            del writer  # it writes until it goes, and a traceback would keep it
    except ValueError as error:  # what the library makes of whatever its files meet
        raise InputError(f"{folder}: can't write the index ({error}); free space or choose another folder") from None
    if not identity.passages:
        raise InputError("search: no passages to index")
    return identity


def _schema() -> tantivy.Schema:
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("words", tokenizer_name="words", index_option="freq")  # positions would only serve phrases
    schema.add_bytes_field("passage", stored=True)
    return schema.build()
