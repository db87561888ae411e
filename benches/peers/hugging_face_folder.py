"""Writes a Llama GGUF file as the folder that transformers reads, in f32: hugging_face_folder.py FILE.gguf FOLDER

transformers 4.45.1 can read GGUF itself, but leaves the head of this file random and takes another end token. Here all
tensors are dequantised, the rows of q and k are put back into the order of Hugging Face, the head is tied to the embeddings, and
the tokenizer is built from the file's vocabulary and merges.
"""

import sys
from pathlib import Path

import gguf
import numpy
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NORMAL_TOKEN = 1


def config(reader, vocabulary):
    number = lambda name: reader.fields[f"llama.{name}"].contents()
    heads = number("attention.head_count")
    return transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=number("embedding_length"),
        intermediate_size=number("feed_forward_length"),
        num_hidden_layers=number("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=number("attention.head_count_kv"),
        head_dim=number("embedding_length") // heads,
        max_position_embeddings=number("context_length"),
        rms_norm_eps=number("attention.layer_norm_rms_epsilon"),
        rope_theta=number("rope.freq_base"),
        tie_word_embeddings=True,
        bos_token_id=reader.fields["tokenizer.ggml.bos_token_id"].contents(),
        eos_token_id=reader.fields["tokenizer.ggml.eos_token_id"].contents(),
    )


def model(reader, settings):
    stored = {tensor.name: tensor for tensor in reader.tensors}

    def weight(name, heads=None):
        values = gguf.quants.dequantize(stored[name].data, stored[name].tensor_type).astype(numpy.float32)
        if heads is not None:
            # In the file, the two halves of each head that rotate together lie interleaved.
            rows, columns = values.shape
            values = values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        return torch.from_numpy(numpy.ascontiguousarray(values))

    weights = {"model.embed_tokens.weight": weight("token_embd.weight"), "model.norm.weight": weight("output_norm.weight")}
    heads = {"attn_q": settings.num_attention_heads, "attn_k": settings.num_key_value_heads}
    for layer in range(settings.num_hidden_layers):
        for ours, theirs in BLOCK.items():
            weights[f"model.layers.{layer}.{theirs}.weight"] = weight(f"blk.{layer}.{ours}.weight", heads.get(ours))
    model = transformers.LlamaForCausalLM(settings)
    missing = model.load_state_dict(weights, strict=False)
    assert missing.missing_keys in ([], ["lm_head.weight"]) and not missing.unexpected_keys, missing
    model.tie_weights()
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    return model


def tokenizer(reader, tokens):
    merges = [tuple(pair.split(" ")) for pair in reader.fields["tokenizer.ggml.merges"].contents()]
    inner = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    special = [token for token, kind in zip(tokens, types) if kind != NORMAL_TOKEN]
    inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    name = lambda kind: tokens[reader.fields[f"tokenizer.ggml.{kind}_token_id"].contents()]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=name("bos"), eos_token=name("eos"), unk_token=name("unknown"),
        clean_up_tokenization_spaces=False, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def main():
    file, folder = sys.argv[1], Path(sys.argv[2])
    reader = gguf.GGUFReader(file)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    folder.mkdir(parents=True)
    model(reader, config(reader, len(tokens))).save_pretrained(folder, safe_serialization=True)
    tokenizer(reader, tokens).save_pretrained(folder)


if __name__ == "__main__":
    main()
