"""What each token adds to the text: joined it is the decoded text, and no boundary of it cuts a character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sveb.policies.codec import TextCodec
from sveb.tasks.splitters import SPLITTERS, find_splitter, step_ends
from tests.policies.multilingual import FAMILIES, SENTENCES

TEXTS = st.lists(
    st.sampled_from([*SENTENCES, " ", "\n", "é", "👩", "字", "ก", ". ", "x"]) | st.text(max_size=6), max_size=6
).map("".join)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextCodec]:
    return {name: build(tmp_path_factory.mktemp(name)) for name, build in FAMILIES.items()}


def boundaries(pieces: list[str]) -> list[int]:
    return [i for i, piece in enumerate(pieces, start=1) if piece and not piece.endswith("\ufffd")]


@pytest.mark.parametrize("family", FAMILIES)
@given(text=TEXTS)
@settings(max_examples=60)
def test_pieces_join_to_the_text_and_every_prefix_to_its_own(
    codecs: dict[str, TextCodec], family: str, text: str
) -> None:
    codec = codecs[family]
    ids = codec.encode(text)
    pieces = codec.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == codec.decode(ids)
    for end in boundaries(pieces):
        assert codec.decode(ids[:end]) == "".join(pieces[:end])


@given(ids=st.lists(st.integers(0, 339), max_size=40))
@settings(max_examples=150)
def test_so_do_the_tokens_that_a_policy_may_sample(codecs: dict[str, TextCodec], ids: list[int]) -> None:
    """Byte by byte they need be no text at all."""
    codec = codecs["byte_level"]
    ids = [token % len(codec.tokenizer) for token in ids]
    pieces = codec.pieces(ids)
    assert "".join(pieces) == codec.decode(ids)
    for end in boundaries(pieces):
        assert codec.decode(ids[:end]) == "".join(pieces[:end])


def test_the_vocabularies_do_cut_inside_characters(codecs: dict[str, TextCodec]) -> None:
    for family in ("byte_level", "byte_fallback"):
        codec = codecs[family]
        ids = codec.encode("👨‍👩‍👧‍👦字")
        assert any("\ufffd" in codec.decode([token]) for token in ids)
        assert codec.pieces(ids).count("") > 3


def test_a_leading_space_stays_with_its_token(codecs: dict[str, TextCodec]) -> None:
    codec = codecs["byte_fallback"]
    ids = codec.encode("Then x = 3")
    assert "".join(codec.decode([token]) for token in ids) != "Then x = 3"
    assert "".join(codec.pieces(ids)) == "Then x = 3"


def test_a_response_cut_inside_a_character_ends_in_none(codecs: dict[str, TextCodec]) -> None:
    codec = codecs["byte_level"]
    ids = codec.encode("ok 字")[:-1]
    assert boundaries(codec.pieces(ids))[-1] < len(ids)


@pytest.mark.parametrize("splitter", [*SPLITTERS, "tokens:3"])
@given(text=TEXTS, minimum=st.integers(1, 4))
@settings(max_examples=40)
def test_no_splitter_cuts_a_character(codecs: dict[str, TextCodec], splitter: str, text: str, minimum: int) -> None:
    for codec in codecs.values():
        ids = codec.encode(text)
        whole = codec.decode(ids)
        ends = step_ends(codec.pieces(ids), find_splitter(splitter), minimum)
        for end in ends:
            assert whole.startswith(codec.decode(ids[:end]))
            assert not codec.decode(ids[:end]).endswith("\ufffd")
        assert all(b - a >= minimum for a, b in zip([0, *ends], ends, strict=False))
