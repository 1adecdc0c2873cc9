"""Protocols: a name signs only for its settings, and a reference that is held out is said."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dialoeval
from dialoeval.config import ProtocolConfig
from dialoeval.metrics import protocol as protocols
from dialoeval.metrics import scores
from dialoeval.metrics.protocol import holds_out, reference_slots, signed_name

REFERENCES = ["fine, you?", "great, thanks!"]


def named(name: str) -> ProtocolConfig:
    protocol = scores.protocol_named(name)
    assert protocol is not None
    return protocol


@pytest.mark.parametrize("name", ["dstc7", "reddit6k", "none"])
def test_the_shipped_settings_sign_with_their_name(name):
    assert signed_name(named(name)) == name


@given(
    st.builds(
        ProtocolConfig,
        name=st.sampled_from(["dstc7", "DSTC7", "reddit6k", "none", "mine"]),
        clean=st.sampled_from(["none", "dstc7"]),
        slots=st.integers(0, 7),
        held_out=st.none() | st.integers(0, 3),
        empty_word=st.sampled_from([None, "__empty__"]),
    )
)
def test_other_settings_do_not_sign_for_a_protocol(protocol):
    known = protocol.name.lower() != "mine"
    equal = known and protocol == named(protocol.name.lower())
    assert signed_name(protocol) == (protocol.name if equal or not known else f"{protocol.name}(changed)")


def test_a_name_without_settings_and_changed_settings_do_not_sign():
    for protocol in (ProtocolConfig(name="dstc7"), dataclasses.replace(named("dstc7"), slots=3)):
        found = dialoeval.score(["a"], [["a"]], protocol, meteor=False, resamples=0)
        assert all(text.startswith("protocol:dstc7(changed)|") for text in found.signatures.values())
        assert "protocol dstc7(changed)" in repr(found)


def test_a_held_out_reference_is_counted_signed_and_said():
    found = dialoeval.score(["great, thanks!", "yes"], [REFERENCES, ["yes"]], "dstc7", resamples=0)
    assert found.counts["references_held_out"] == 1
    for name in ("nist", "bleu", "meteor"):
        assert "|held-out:1|" in found.signatures[name]
    assert "held-out" not in found.signatures["entropy"]
    (remark,) = found.remarks()
    assert "dstc7 holds out reference 1" in remark and "human reply" in remark and "1 of 2 replies" in remark
    alone = dialoeval.score(["great, thanks!"], [REFERENCES], "dstc7", resamples=0)
    assert alone["meteor"] == pytest.approx(0.06, abs=0.01)
    plain = dialoeval.score(["great, thanks!"], [REFERENCES], resamples=0)
    assert plain["meteor"] == pytest.approx(1.0) and plain.remarks() == [] and plain.counts["references_held_out"] == 0
    assert dialoeval.score(["a"], [["a"]], named("dstc7"), meteor=False, resamples=0).signature.count("dstc7|") == 2


@given(st.integers(0, 5), st.none() | st.integers(0, 4), st.integers(0, 8))
def test_what_is_held_out_is_in_no_slot(size, held_out, slots):
    references = [f"reference {i}" for i in range(size)]
    protocol = ProtocolConfig(name="mine", held_out=held_out, slots=slots)
    chosen = reference_slots(references, protocol)
    if holds_out(references, protocol):
        assert references[held_out] not in chosen and chosen
    elif not slots:
        assert chosen == references


def test_shards_add_what_was_held_out():
    shards = [
        dialoeval.metrics.statistics(["a"], [refs], named("dstc7"), meteor=False) for refs in (REFERENCES, ["x"] * 3)
    ]
    assert dialoeval.metrics.Statistics.merge(shards).corpus.held_out == 2
    assert protocols.signed_name(shards[0].corpus.protocol) == "dstc7"
