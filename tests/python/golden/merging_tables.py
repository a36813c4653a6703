"""Which layers with several inputs the golden file of feed-forward layers holds."""

from __future__ import annotations

from feedforward_tables import Case

TWO = ((3, 5, 4), (3, 5, 4))
THREE = (*TWO, (3, 5, 4))
BOTH = ("steps", "steps")
KINDS = ("Add", "Multiply", "Average", "Maximum", "Minimum")

MERGING: dict[str, Case] = {
    **{kind.lower(): Case(kind, {}, THREE) for kind in KINDS},
    **{f"{kind.lower()}-masks": Case(kind, {}, TWO, BOTH) for kind in KINDS},
    **{f"{kind.lower()}-mask": Case(kind, {}, THREE, ("steps", None, "steps")) for kind in KINDS},
    **{f"{kind.lower()}-wide": Case(kind, {}, ((3, 5, 4), (3, 1, 4))) for kind in KINDS},
    "add-ranks": Case("Add", {}, ((3, 5, 4), (3, 4))),
    "add-one": Case("Add", {}, ((3, 5, 4),) * 5),
    "subtract": Case("Subtract", {}, TWO),
    "subtract-masks": Case("Subtract", {}, TWO, BOTH),
    "concatenate": Case("Concatenate", {}, ((3, 5, 4), (3, 5, 1), (3, 5, 2))),
    "concatenate-masks": Case("Concatenate", {}, TWO, BOTH),
    "concatenate-mask": Case("Concatenate", {}, TWO, ("steps", None)),
    "concatenate-steps": Case(
        "Concatenate", {"axis": 1}, ((3, 5, 4), (3, 2, 4)), ("steps", "second")
    ),
    "dot": Case("Dot", {"axes": 1}, ((3, 5), (3, 5))),
    "dot-last": Case("Dot", {"axes": -1}, ((3, 5, 4), (3, 2, 4))),
    "dot-axes": Case("Dot", {"axes": [2, 1]}, ((3, 5, 4), (3, 4, 6))),
    "dot-ranks": Case("Dot", {"axes": [1, 2]}, ((3, 4), (3, 6, 4))),
    "dot-cosine": Case("Dot", {"axes": 1, "normalize": True}, ((3, 5), (3, 5))),
    "dot-cosines": Case("Dot", {"axes": -1, "normalize": True}, ((3, 5, 4), (3, 2, 4))),
}

PAIR = ((3, 5, 4), (3, 6, 4))
TRIPLE = ((3, 5, 4), (3, 6, 7), (3, 6, 4))
MASKS = ("steps", "second")
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True}

ATTENTION: dict[str, Case] = {
    "attention": Case("Attention", {}, PAIR),
    "attention-key": Case("Attention", {"use_scale": True}, TRIPLE),
    "attention-masks": Case("Attention", {}, PAIR, MASKS),
    "attention-causal": Case("Attention", {"use_scale": True}, PAIR, call=CAUSAL | SCORES),
    "attention-causal_masks": Case("Attention", {}, PAIR, MASKS, call=CAUSAL),
    "attention-concat": Case("Attention", {"score_mode": "concat"}, PAIR, call=SCORES),
    "attention-concat_scale": Case(
        "Attention", {"score_mode": "concat", "use_scale": True}, TRIPLE, (*MASKS, None)
    ),
    "attention-single": Case("Attention", {}, PAIR, dtype="float32"),
    "additive": Case("AdditiveAttention", {}, PAIR, call=SCORES),
    "additive-bare": Case("AdditiveAttention", {"use_scale": False}, TRIPLE),
    "additive-masks": Case("AdditiveAttention", {}, PAIR, MASKS, call=CAUSAL),
}

HEADS = {"num_heads": 2, "key_dim": 3}
MULTI_HEAD: dict[str, Case] = {
    "heads": Case("MultiHeadAttention", HEADS, PAIR, spread=True),
    "heads-scores": Case("MultiHeadAttention", HEADS, PAIR, call=SCORES, spread=True),
    "heads-key": Case(
        "MultiHeadAttention",
        HEADS | {"value_dim": 5, "output_shape": [6]},
        TRIPLE,
        call=SCORES,
        spread=True,
    ),
    "heads-masks": Case("MultiHeadAttention", HEADS, PAIR, (None, "second"), spread=True),
    "heads-query_mask": Case(
        "MultiHeadAttention", HEADS, PAIR, MASKS, call=SCORES | CAUSAL, spread=True
    ),
    "heads-causal": Case("MultiHeadAttention", HEADS, TWO, call=CAUSAL, spread=True),
    "heads-window": Case(
        "MultiHeadAttention", HEADS | {"sliding_window": 2}, TWO, call=CAUSAL, spread=True
    ),
    "heads-no_bias": Case("MultiHeadAttention", HEADS | {"use_bias": False}, PAIR, spread=True),
    "heads-gate": Case("MultiHeadAttention", HEADS | {"use_gate": True}, PAIR, spread=True),
    "heads-axes": Case(
        "MultiHeadAttention",
        HEADS | {"attention_axes": [2]},
        ((2, 3, 5, 4), (2, 3, 6, 4)),
        call=SCORES,
        spread=True,
    ),
    "heads-two_axes": Case(
        "MultiHeadAttention", HEADS, ((2, 3, 5, 4), (2, 2, 6, 4)), call=SCORES, spread=True
    ),
    "heads-single": Case(
        "MultiHeadAttention", {"num_heads": 3, "key_dim": 8}, TWO, spread=True, dtype="float32"
    ),
}
