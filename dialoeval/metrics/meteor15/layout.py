"""What Python and the compiled loops share: named tuples of arrays, the rows and columns in them, the entry points.

Every array is declared once, here, with its element type and number of dimensions: `machine_code` checks and passes
arrays by these declarations, `kernels.entry_points` reads them back by the same ones.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from dialoeval.metrics.meteor15.formula import STATISTICS
from dialoeval.metrics.meteor15.options import MODULES


class ArrayType(NamedTuple):
    """Element type (its numpy name) and number of dimensions of a C-contiguous array."""

    dtype: str
    ndim: int


U8 = Annotated[NDArray[np.uint8], ArrayType("uint8", 1)]
U16 = Annotated[NDArray[np.uint16], ArrayType("uint16", 1)]
I32 = Annotated[NDArray[np.int32], ArrayType("int32", 1)]
U32 = Annotated[NDArray[np.uint32], ArrayType("uint32", 1)]
I64 = Annotated[NDArray[np.int64], ArrayType("int64", 1)]
U64 = Annotated[NDArray[np.uint64], ArrayType("uint64", 1)]
F64 = Annotated[NDArray[np.float64], ArrayType("float64", 1)]
I32Matrix = Annotated[NDArray[np.int32], ArrayType("int32", 2)]
U64Matrix = Annotated[NDArray[np.uint64], ArrayType("uint64", 2)]
F64Matrix = Annotated[NDArray[np.float64], ArrayType("float64", 2)]

Int = int | np.int64  # numba treats both as int64


class Vocabulary(NamedTuple):
    """The words of the language data, those of the paraphrase table first, and their hash table."""

    letters: U16  # all words' UTF-16 code units, one word after the other
    offsets: I32  # (words + 1,): word w is letters[offsets[w]:offsets[w + 1]]
    slots: I32  # (2^k,): word numbers or -1, see hash_tables.word_slot


class Synonyms(NamedTuple):
    """WordNet's synonym sets of the vocabulary's words, as [begin, end) ranges of `sets`."""

    own: I32Matrix  # (words, 2): the word's own sets
    all_sets: I32Matrix  # (words, 2): the word's own sets and those of its base forms
    sets: I32  # numbers of synonym sets, sorted within each range


class Phrases(NamedTuple):
    """The paraphrase table: a trie of phrases, each with its paraphrases.

    The paraphrases of node n are ``stream[first[n]:first[n + 1]]``: each its length and then its words, in the table's
    order. Node 0 is the empty phrase.
    """

    keys: I64  # (2^k,): node << 16 | word, or -1, see hash_tables.phrase_slot
    children: I32  # (2^k,): the node that each key leads to
    first: I64  # (nodes + 1,)
    stream: U16


class Spelling(NamedTuple):
    """The different words of a batch: word w is ``letters[offsets[w]:offsets[w + 1]]`` (UTF-16 code units)."""

    letters: U16
    offsets: I32


class Words(NamedTuple):
    """What the matchers need to know of each different word of a batch."""

    functions: U8  # 1 for function words
    known: I32  # number in the vocabulary, or -1
    hashes: U32  # hash of the word
    stems: U32  # hash of its stem
    ranges: I32Matrix  # (words, 2): the word's synonym sets, as a range of `sets`
    masks: U64  # digest of these sets: two words without a common bit share none
    sets: I32  # `Synonyms.sets`


class BaseForms(NamedTuple):
    """The vocabulary's number of each word's base form by WordNet's endings, or -1."""

    numbers: I32


class Scratch(NamedTuple):
    """Room for a word and for its base form: 16 code units more than the longest word."""

    word: U16
    base: U16

    @classmethod
    def for_words(cls, offsets: NDArray[np.int32]) -> Scratch:
        """Return scratch memory for words of these offsets (`Spelling.offsets`)."""
        room = int(np.diff(offsets).max(initial=0)) + 16
        return cls(np.zeros(room, np.uint16), np.zeros(room, np.uint16))


class Texts(NamedTuple):
    """Replies and references as numbers: text t is the words ``words[text_offsets[t]:text_offsets[t + 1]]``."""

    replies: I32  # (replies,): the text of each reply
    references: I32  # all references' texts, reply by reply
    reference_offsets: I64  # (replies + 1,): where each reply's references begin in `references`
    text_offsets: I64  # (texts + 1,)
    words: I32


class Weighting(NamedTuple):
    """The matchers in the order they run, the weight of each, and alpha, beta, gamma, delta."""

    modules: I32
    weights: F64
    parameters: F64


class Candidates(NamedTuple):
    """Possible matches of a pair: one column of `table` each, chained by their start in the reference."""

    table: I32Matrix  # (TABLE_ROWS, capacity)
    head: I32  # first candidate that starts at each word of the reference, or -1
    tail: I32  # last candidate that starts there
    hyp_cover: I32  # number of candidates that cover each word of the reply
    ref_cover: I32  # number of candidates that cover each word of the reference
    total: I64  # (1,): how many there are, more than the capacity if they do not fit


class Beam(NamedTuple):
    """Scratch memory of the alignment search, and its result, `chosen`.

    Paths are columns of `state`. Their used words are bits of the rows of `hyp_used` and `ref_used`, which hold two
    banks of BEAM_WIDTH rows.
    """

    chosen: I32  # the chosen candidate that starts at each word of the reference, or -1
    state: I32Matrix  # (PATH_ROWS, BEAM_WIDTH)
    survivors: I32Matrix  # (PATH_ROWS, BEAM_WIDTH)
    hyp_used: U64Matrix  # (2 BEAM_WIDTH, words of the reply / 64)
    ref_used: U64Matrix  # (2 BEAM_WIDTH, words of the reference / 64)
    order: I32  # (BEAM_WIDTH,): the paths' columns, best first
    links: I32Matrix  # (BEAM_WIDTH times the reference's words, 2): previous link, candidate


class Output(NamedTuple):
    """The statistics of each reply with its best reference, and how far the loop is."""

    rows: F64Matrix  # (replies, COLUMNS)
    pair: F64  # (COLUMNS,): the statistics of the pair scored last
    cursor: I64  # (2,): the next reply to score, and the end


class Path(NamedTuple):
    """A partial alignment; its fields are the rows of `Beam.state` and `Beam.survivors`."""

    weight: Int  # of its matches, reply and reference together
    chunks: Int  # number of closed chunks
    distance: Int  # sum over matches of the distance between their positions in reply and reference
    ref_end: Int  # end of the last match in the reference
    hyp_end: Int  # end of the last match in the reply; -1 if no chunk is open
    newest: Int  # the newest of its links
    parent: Int  # of a survivor: the path that it continues
    candidate: Int  # of a survivor: the candidate that it adds, or -1


EXACT, STEM, SYNONYM, PARAPHRASE = range(len(MODULES))

# Rows of `Candidates.table`.
START, LENGTH, HYP_START, HYP_LENGTH, MODULE, NEXT = range(6)
TABLE_ROWS = 6

# Rows of `Beam.state`.
WEIGHT, CHUNKS, DISTANCE, REF_END, HYP_END, NEWEST, PARENT, CANDIDATE = range(len(Path._fields))
PATH_ROWS = len(Path._fields)
BEAM_WIDTH = 40

# Columns of `Output.rows`. Those of matches: FIRST_MATCHES + 4 module + 2 (1 for function words) + (1 for references).
HYP_WORDS, REF_WORDS, HYP_FUNCTION_WORDS, REF_FUNCTION_WORDS, FIRST_MATCHES = range(5)
TOTAL_CHUNKS, HYP_MATCHES, REF_MATCHES, PERFECT = map(
    STATISTICS.index, ("chunks", "hypothesis_matches", "reference_matches", "perfect")
)
COLUMNS = len(STATISTICS)

TABLE_WORDS = 1 << 16  # numbers of the paraphrase table's words fit 16 bits

Arrays = tuple[NDArray[Any], ...]

ENTRY_POINTS: dict[str, tuple[type[Arrays], ...]] = {
    "describe_words": (Spelling, Vocabulary, Synonyms, Words, Scratch),
    "find_base_forms": (Vocabulary, Synonyms, BaseForms, Scratch),
    "score_replies": (Texts, Words, Phrases, Weighting, Candidates, Beam, Output),
}
"""The compiled entry points and what each takes."""


def array_types(arrays: type[Arrays]) -> list[ArrayType]:
    """Return the declared types of a named tuple's arrays, in the order of its fields."""
    return [hint.__metadata__[0] for hint in get_type_hints(arrays, include_extras=True).values()]
