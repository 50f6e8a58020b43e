"""The block is the block of published models: against `transformers`, with random weights mapped by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

hf: Any = pytest.importorskip("transformers", reason="pip install 'generative-zoo[parity]'")


def public(module: str, *names: str) -> Any:
    found = import_module(f"zoo.plugins.nets.transformer.{module}")
    return [getattr(found, name) for name in names]


(Attention,) = public("attention", "Attention")
(Block,) = public("block", "Block")
(Patches,) = public("embeddings", "Patches")
(FeedForward,) = public("feed_forward", "FeedForward")
(LatentQueries,) = public("latent_queries", "LatentQueries")
padding, joined = public("masks", "padding", "joined")
(Rotary,) = public("positions", "Rotary")
BucketBias, DecomposedBias, RelativeBias = public("relative", "BucketBias", "DecomposedBias", "RelativeBias")
(ResamplerBlock,) = public("resampler", "ResamplerBlock")
(Trunk,) = public("trunk", "Trunk")
(Windows,) = public("windows", "Windows")

TOLERANCE = 1e-6
C, HEADS, HIDDEN, B, N = 16, 2, 24, 3, 7
SIZES = {"hidden_size": C, "num_hidden_layers": 2, "num_attention_heads": HEADS, "intermediate_size": HIDDEN}
WORDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7], [9, 3, 2, 3, 8, 4, 6]])
REAL = torch.arange(N) < torch.tensor([[7], [5], [2]])
TEXT = {"vocab_size": 11, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 10}


@dataclass(frozen=True)
class Peer:
    """A published model: how it is made and called, where its blocks are, and which of its names are ours."""

    make: Callable[[], nn.Module]
    run: Callable[[Any], object]
    layers: str
    ours: Callable[[int], nn.Module]
    names: Mapping[str, str | Sequence[str]]
    how: Callable[[Any], Mapping[str, Any]] = lambda model: {}
    unused: Sequence[str] = ()
    transposed: bool = False


def named(template: str, *parts: str) -> list[str]:
    return [template.format(part) for part in parts]


def images(size: int) -> Tensor:
    return torch.randn(B, 3, size, size, dtype=torch.float64)


def feed_forward(**keys: Any) -> Any:
    return FeedForward(C, HIDDEN, **keys)


def swin_block(i: int, grid: int) -> Any:
    shift = (2, 2) if i % 2 else (0, 0)
    attention = Attention(C, HEADS, relative=RelativeBias((4, 4), HEADS))
    return Block(C, Windows(attention, (grid, grid), (4, 4), shift), FeedForward(C, 4 * C), eps=1e-5)


def swin(size: int) -> Peer:
    """Two blocks, the second one shifted; a size of 20 leaves grids that are no multiple of the window."""
    keys = {"image_size": size, "patch_size": 2, "embed_dim": C, "depths": [2], "num_heads": [HEADS], "window_size": 4}
    return Peer(
        lambda: hf.SwinModel(hf.SwinConfig(**keys), add_pooling_layer=False),
        lambda model: model(images(size)),
        "encoder.layers.0.blocks",
        lambda i: swin_block(i, size // 2),
        {
            "norm1": "layernorm_before",
            "attention.attention.qkv": named("attention.{}_proj", "q", "k", "v"),
            "attention.attention.relative.table": "attention.relative_position_bias.relative_position_bias_table",
            "attention.attention.out": "attention.o_proj",
            "norm2": "layernorm_after",
            "feed_forward.into": "mlp.fc1",
            "feed_forward.out": "mlp.fc2",
        },
    )


def t5_block(*, decoder: bool) -> Any:
    plain = {"head_size": 6, "bias": False, "scale": 1.0}
    return Block(
        C,
        Attention(C, HEADS, causal=decoder, **plain),
        feed_forward(activation="relu", bias=False),
        cross=Attention(C, HEADS, context=C, **plain) if decoder else None,
        norm_type="rms",
    )


def t5(side: str) -> Peer:
    attention = "layer.0.SelfAttention"
    decoder = side == "decoder"
    last = f"layer.{1 + decoder}"
    names: dict[str, str | Sequence[str]] = {
        "norm1": "layer.0.layer_norm",
        "attention.qkv": named(attention + ".{}", "q", "k", "v"),
        "attention.out": f"{attention}.o",
        "norm2": f"{last}.layer_norm",
        "feed_forward.into": f"{last}.DenseReluDense.wi",
        "feed_forward.out": f"{last}.DenseReluDense.wo",
    }
    if decoder:
        names |= {
            "norm_cross": "layer.1.layer_norm",
            "cross.q": "layer.1.EncDecAttention.q",
            "cross.kv": named("layer.1.EncDecAttention.{}", "k", "v"),
            "cross.out": "layer.1.EncDecAttention.o",
        }

    def how(model: Any) -> dict[str, Any]:
        bias = BucketBias(HEADS, both_ways=not decoder).double()
        bias.table.data = getattr(model, side).block[0].layer[0].SelfAttention.relative_attention_bias.weight.data
        q = torch.zeros(1, HEADS, N, 6)
        if not decoder:
            return {"mask": joined(padding(REAL), bias(q, q))}
        context = model.encoder(WORDS, attention_mask=REAL.long()).last_hidden_state
        return {"mask": bias(q, q), "context": context, "context_mask": padding(REAL)}

    config = hf.T5Config(d_model=C, d_kv=6, d_ff=HIDDEN, num_layers=2, num_heads=HEADS, dropout_rate=0.0, vocab_size=11)
    return Peer(
        lambda: hf.T5Model(config),
        lambda model: model(input_ids=WORDS, attention_mask=REAL.long(), decoder_input_ids=WORDS),
        f"{side}.block",
        lambda i: t5_block(decoder=decoder),
        names,
        how,
        unused=[f"{attention}.relative_attention_bias.weight"],
    )


def decoder_only(family: str, **norm: Any) -> Peer:
    """LLaMA: grouped heads and rotary positions; Qwen3 normalises queries and keys as well."""
    keys = {"num_key_value_heads": 1, "head_dim": 8, "rms_norm_eps": 1e-6, **TEXT, **SIZES}
    names: dict[str, str | Sequence[str]] = {
        "norm1": "input_layernorm",
        "attention.qkv": named("self_attn.{}_proj", "q", "k", "v"),
        "attention.out": "self_attn.o_proj",
        "norm2": "post_attention_layernorm",
        "feed_forward.into": named("mlp.{}_proj", "gate", "up"),
        "feed_forward.out": "mlp.down_proj",
    }
    if norm:
        names |= {"attention.q_norm": "self_attn.q_norm", "attention.k_norm": "self_attn.k_norm"}
    return Peer(
        lambda: getattr(hf, f"{family}Model")(getattr(hf, f"{family}Config")(**keys)),
        lambda model: model(input_ids=WORDS),
        "layers",
        lambda i: Block(
            C,
            Attention(C, HEADS, kv_heads=1, causal=True, bias=False, **norm),
            feed_forward(activation="swiglu", bias=False),
            norm_type="rms",
        ),
        names,
        lambda model: {"turn": Rotary(8)(torch.arange(N))},
    )


def sam_block(i: int) -> Any:
    """The second one is global: its window is the grid."""
    window = (4, 4) if i == 0 else (10, 10)
    attention = Attention(C, HEADS, relative=DecomposedBias(window, C // HEADS))
    return Block(C, Windows(attention, (10, 10), window), feed_forward(), eps=1e-6)


def sam() -> nn.Module:
    keys = {"image_size": 20, "patch_size": 2, "window_size": 4, "global_attn_indexes": [1], "mlp_dim": HIDDEN}
    made: nn.Module = hf.models.sam.modeling_sam.SamVisionEncoder(
        hf.SamVisionConfig(**SIZES, **keys, output_channels=8)
    )
    return made


def bert_names(*, cross: bool, network: str = "") -> dict[str, str | Sequence[str]]:
    own = "attention.attention" if cross else "attention.self"
    names: dict[str, str | Sequence[str]] = {
        "attention.qkv": named(own + ".{}", "query", "key", "value"),
        "attention.out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "feed_forward.into": f"intermediate{network}.dense",
        "feed_forward.out": f"output{network}.dense",
        "norm2": f"output{network}.LayerNorm",
    }
    if cross:
        names |= {
            "cross.q": "crossattention.attention.query",
            "cross.kv": named("crossattention.attention.{}", "key", "value"),
            "cross.out": "crossattention.output.dense",
            "norm_cross": "crossattention.output.LayerNorm",
        }
    return names


QUERIES, SEEN = torch.randn(B, 5, C, dtype=torch.float64), torch.randn(B, N, 12, dtype=torch.float64)
VIT_NAMES: dict[str, str | Sequence[str]] = {
    "norm1": "layernorm_before",
    "attention.qkv": named("attention.{}_proj", "q", "k", "v"),
    "attention.out": "attention.o_proj",
    "norm2": "layernorm_after",
    "feed_forward.into": "mlp.fc1",
    "feed_forward.out": "mlp.fc2",
}

PEERS: dict[str, Peer] = {
    "vit": Peer(
        lambda: hf.ViTModel(hf.ViTConfig(**SIZES, image_size=8, patch_size=4), add_pooling_layer=False),
        lambda model: model(images(8)),
        "layers",
        lambda i: Block(C, Attention(C, HEADS), feed_forward(), eps=1e-12),
        VIT_NAMES,
    ),
    "bert": Peer(
        lambda: hf.BertModel(hf.BertConfig(**SIZES, vocab_size=11), add_pooling_layer=False),
        lambda model: model(input_ids=WORDS, attention_mask=REAL.long()),
        "encoder.layer",
        lambda i: Block(C, Attention(C, HEADS), feed_forward(), order="post", eps=1e-12),
        bert_names(cross=False),
        lambda model: {"mask": padding(REAL)},
    ),
    "gpt2": Peer(
        lambda: hf.GPT2Model(hf.GPT2Config(n_embd=C, n_layer=2, n_head=HEADS, n_positions=12, **TEXT)),
        lambda model: model(input_ids=WORDS),
        "h",
        lambda i: Block(C, Attention(C, HEADS, causal=True), FeedForward(C, 4 * C, activation="gelu_tanh"), eps=1e-5),
        {
            "norm1": "ln_1",
            "attention.qkv": "attn.c_attn",
            "attention.out": "attn.c_proj",
            "norm2": "ln_2",
            "feed_forward.into": "mlp.c_fc",
            "feed_forward.out": "mlp.c_proj",
        },
        transposed=True,
    ),
    "llama": decoder_only("Llama"),
    "qwen3": decoder_only("Qwen3", qk_norm="rms"),
    "t5 encoder": t5("encoder"),
    "t5 decoder": t5("decoder"),
    "swin": swin(16),
    "swin, padded": swin(20),
    "clip": Peer(
        lambda: hf.CLIPTextModel(hf.CLIPTextConfig(**SIZES, **TEXT)),
        lambda model: model(input_ids=WORDS),
        "encoder.layers",
        lambda i: Block(C, Attention(C, HEADS, causal=True), feed_forward(activation="quick_gelu"), eps=1e-5),
        {
            "norm1": "layer_norm1",
            "attention.qkv": named("self_attn.{}_proj", "q", "k", "v"),
            "attention.out": "self_attn.out_proj",
            "norm2": "layer_norm2",
            "feed_forward.into": "mlp.fc1",
            "feed_forward.out": "mlp.fc2",
        },
    ),
    "dinov2": Peer(
        lambda: hf.Dinov2Model(hf.Dinov2Config(**SIZES, image_size=8, patch_size=4, mlp_ratio=3, use_swiglu_ffn=True)),
        lambda model: model(images(8)),
        "encoder.layer",
        lambda i: Block(C, Attention(C, HEADS), FeedForward(C, 32, activation="swiglu"), scale=1.0, eps=1e-6),
        {
            "norm1": "norm1",
            "attention.qkv": named("attention.{}_proj", "q", "k", "v"),
            "attention.out": "attention.o_proj",
            "scale1.gamma": "layer_scale1.lambda1",
            "norm2": "norm2",
            "feed_forward.into": named("mlp.{}_proj", "gate", "up"),
            "feed_forward.out": "mlp.down_proj",
            "scale2.gamma": "layer_scale2.lambda1",
        },
    ),
    "beit": Peer(
        lambda: hf.BeitModel(
            hf.BeitConfig(**SIZES, image_size=8, patch_size=4, use_relative_position_bias=True), add_pooling_layer=False
        ),
        lambda model: model(images(8)),
        "layers",
        lambda i: Block(
            C,
            Attention(C, HEADS, relative=RelativeBias((2, 2), HEADS, ahead=1)),
            feed_forward(),
            scale=1.0,
            eps=1e-12,
        ),
        VIT_NAMES
        | {
            "attention.relative.table": "relative_position_bias.relative_position_bias_table",
            "scale1.gamma": "lambda_1",
            "scale2.gamma": "lambda_2",
        },
    ),
    "sam": Peer(
        sam,
        lambda model: model(images(20)),
        "layers",
        sam_block,
        {
            "norm1": "layer_norm1",
            "attention.attention.qkv": "attn.qkv",
            "attention.attention.relative.tables.0": "attn.rel_pos_h",
            "attention.attention.relative.tables.1": "attn.rel_pos_w",
            "attention.attention.out": "attn.proj",
            "norm2": "layer_norm2",
            "feed_forward.into": "mlp.lin1",
            "feed_forward.out": "mlp.lin2",
        },
    ),
    "q-former": Peer(
        lambda: hf.models.blip_2.modeling_blip_2.Blip2QFormerEncoder(
            hf.Blip2QFormerConfig(**SIZES, encoder_hidden_size=12, cross_attention_frequency=1)
        ),
        lambda model: model(QUERIES, encoder_hidden_states=SEEN, query_length=5),
        "layer",
        lambda i: Block(
            C,
            Attention(C, HEADS),
            feed_forward(),
            cross=Attention(C, HEADS, context=12),
            order="post",
            eps=1e-12,
        ),
        bert_names(cross=True, network="_query"),
        lambda model: {"context": SEEN},
    ),
}


def shaken(model: nn.Module) -> Any:
    """In float64, every parameter moved by a little."""
    model.double().eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def filled(
    ours: nn.Module, theirs: Mapping[str, Tensor], names: Mapping[str, str | Sequence[str]], *, transposed: bool = False
) -> set[str]:
    """Fill our tensors with theirs, and say which of theirs that took; a key that has no bias gets zeros."""
    taken = set()
    for name, tensor in ours.state_dict().items():
        part, _, leaf = name.rpartition(".")
        whole = name in names
        sources = names[name if whole else part]
        found = []
        for source in [sources] if isinstance(sources, str) else sources:
            full = source if whole else f"{source}.{leaf}"
            taken.add(full)
            if full in theirs:
                found.append(theirs[full])
            else:
                assert full.endswith("k_proj.bias"), full
                found.append(torch.zeros(C, dtype=torch.float64))
        value = torch.cat(found)
        tensor.copy_(value.t() if transposed else value)
    return taken


def traced(model: Any, peer: Peer) -> tuple[Tensor, Tensor]:
    """What goes into the first of the model's blocks, and what comes out of the last."""
    layers = model.get_submodule(peer.layers)
    kept: dict[str, Tensor] = {}

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept["in"] = args[0] if args else kwargs["hidden_states"]

    def after(_: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        kept["out"] = result if isinstance(result, Tensor) else result[0]

    layers[0].register_forward_pre_hook(before, with_kwargs=True)
    layers[-1].register_forward_hook(after)
    peer.run(model)
    return kept["in"], kept["out"]


@pytest.mark.parametrize("name", PEERS)
@torch.no_grad()
def test_blocks_agree(name: str, record_property: Callable[[str, object], None]) -> None:
    peer = PEERS[name]
    torch.manual_seed(0)
    model = shaken(peer.make())
    x, expected = traced(model, peer)
    grid = x.shape[1:-1]
    x, expected = x.flatten(1, -2), expected.flatten(1, -2)
    how = peer.how(model)
    for i, layer in enumerate(model.get_submodule(peer.layers)):
        block: Any = peer.ours(i).double().eval()
        theirs = layer.state_dict()
        taken = filled(block, theirs, peer.names, transposed=peer.transposed)
        assert theirs.keys() - set(peer.unused) <= taken, "every tensor has its place"
        x = block(x, **how)
    error = float((x - expected).abs().max())
    record_property("error", error)
    print(f"{name}, {tuple(grid)} tokens: {error:.1e}")
    assert error <= TOLERANCE


@torch.no_grad()
def test_patches_of_images_agree() -> None:
    torch.manual_seed(0)
    model = shaken(hf.ViTModel(hf.ViTConfig(**SIZES, image_size=8, patch_size=4)))
    theirs = model.embeddings.patch_embeddings
    patches = Patches((3, 8, 8), (4, 4), C).double()
    patches.proj.weight.copy_(theirs.projection.weight.flatten(1))
    patches.proj.bias.copy_(theirs.projection.bias)
    x = images(8)
    torch.testing.assert_close(patches(x), theirs(x), rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_patches_of_clips_agree() -> None:
    torch.manual_seed(0)
    keys = {"image_size": 8, "patch_size": 4, "num_frames": 4, "tubelet_size": 2}
    theirs = shaken(hf.VideoMAEModel(hf.VideoMAEConfig(**SIZES, **keys))).embeddings.patch_embeddings
    patches = Patches((4, 3, 8, 8), (2, 4, 4), C).double()
    patches.proj.weight.copy_(theirs.projection.weight.flatten(1))
    patches.proj.bias.copy_(theirs.projection.bias)
    x = torch.randn(B, 4, 3, 8, 8, dtype=torch.float64)  # [B, T, C, H, W]
    torch.testing.assert_close(patches(x), theirs(x), rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_resamplers_agree() -> None:
    torch.manual_seed(0)
    perceiver = import_module("transformers.models.idefics.perceiver")
    config = hf.IdeficsConfig(vision_config={"embed_dim": C}, perceiver_config={"qk_layer_norms_perceiver": True})
    theirs = shaken(perceiver.IdeficsPerceiverResampler(config, C, 2, HEADS, 6, 3))
    blocks = [ResamplerBlock(C, HEADS, head_size=6, activation="relu", qk_norm="layer") for _ in range(2)]
    ours: Any = LatentQueries(3, C, blocks, norm=nn.LayerNorm(C)).double()
    names: dict[str, str | Sequence[str]] = {"queries": "latents", "norm": "layer_norm"}
    for i in range(2):
        names |= {
            f"blocks.{i}.norm_context": f"blocks.{i}.0.context_layer_norm",
            f"blocks.{i}.norm1": f"blocks.{i}.0.latents_layer_norm",
            f"blocks.{i}.attention.q": f"blocks.{i}.0.q_proj",
            f"blocks.{i}.attention.kv": named(f"blocks.{i}.0.{{}}_proj", "k", "v"),
            f"blocks.{i}.attention.q_norm": f"blocks.{i}.0.q_layer_norm",
            f"blocks.{i}.attention.k_norm": f"blocks.{i}.0.k_layer_norm",
            f"blocks.{i}.attention.out": f"blocks.{i}.0.output_proj",
            f"blocks.{i}.norm2": f"blocks.{i}.1.ln",
            f"blocks.{i}.feed_forward.into": f"blocks.{i}.1.fc",
            f"blocks.{i}.feed_forward.out": f"blocks.{i}.1.c_proj",
        }
    assert filled(ours, theirs.state_dict(), names) == theirs.state_dict().keys()
    x = torch.randn(B, N, C, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_generation_with_a_cache_agrees() -> None:
    """LLaMA's cache and ours, token by token after a prefix."""
    torch.manual_seed(0)
    peer = PEERS["llama"]
    model = shaken(peer.make())
    blocks: list[Any] = [peer.ours(i) for i in range(2)]
    for block, layer in zip(blocks, model.layers, strict=True):
        filled(block.double(), layer.state_dict(), peer.names)
    trunk = Trunk(blocks).double()
    caches, past = trunk.caches(B, N), None
    for start, end in ((0, 3), (3, 4), (4, 6), (6, 7)):
        words = WORDS[:, start:end]
        output = model(input_ids=words, cache=past, use_cache=True)
        past = output.past_key_values
        y = trunk(model.embed_tokens(words), turn=Rotary(8)(torch.arange(start, end)), caches=caches)
        torch.testing.assert_close(model.norm(y), output.last_hidden_state, rtol=0, atol=TOLERANCE)
