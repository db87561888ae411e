"""Pretrain the tiny model from scratch: corpus, tokenizer, weights.

Writes config.json, tokenizer.json and model.safetensors (f16) next to this
file. Needs torch, transformers, tokenizers and safetensors. Seeded, and run on
one thread, so that the same machine writes the same files again.

    python pretrain.py
"""

import pathlib
import random
import time

from generate_corpus import corpus

HERE = pathlib.Path(__file__).resolve().parent
SEED = 2404
TEXTS = 24_000
HELD_OUT = 500
VOCABULARY = 1280
ROW = 128  # tokens of a training row
BATCH = 8  # rows of a step
PEAK_LR = 2e-3
WARMUP = 100  # steps
END, PAD = "<|endoftext|>", "<|pad|>"


def train_tokenizer(texts):
    """A byte-level BPE that adds nothing to the text it is given."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END, PAD], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))
    return tokenizer


def pack(texts, tokenizer):
    """Rows of whole texts, each text closed by END, the rest of a row PAD."""
    import torch

    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    rows, row = [], []
    for encoding in tokenizer.encode_batch(texts):
        ids = encoding.ids + [end]
        if len(row) + len(ids) > ROW:
            rows.append(row + [pad] * (ROW - len(row)))
            row = []
        row += ids
    rows.append(row + [pad] * (ROW - len(row)))
    return torch.tensor(rows)


def main():
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    started = time.time()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    texts = corpus(TEXTS, SEED)
    tokenizer = train_tokenizer(texts)
    held_out, rows = pack(texts[:HELD_OUT], tokenizer), pack(texts[HELD_OUT:], tokenizer)
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"], vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128, intermediate_size=352, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.05,
        tie_word_embeddings=True, bos_token_id=end, eos_token_id=end, pad_token_id=pad,
        torch_dtype="float16",
    )
    model = LlamaForCausalLM(config).float()

    def loss_of(batch):
        return model(input_ids=batch, labels=batch.masked_fill(batch == pad, -100)).loss

    steps = len(rows) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARMUP, (steps - step) / (steps - WARMUP)))
    order = list(range(len(rows)))
    random.Random(SEED).shuffle(order)
    print(f"{len(texts)} texts, {int((rows != pad).sum())} tokens, {steps} steps, "
          f"{model.num_parameters()} parameters, vocabulary {config.vocab_size}", flush=True)
    for step in range(steps):
        loss = loss_of(rows[order[step * BATCH:(step + 1) * BATCH]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:5}  loss {loss.item():.4f}  {time.time() - started:.0f} s", flush=True)
    with torch.no_grad():
        print(f"held-out loss {loss_of(held_out).item():.4f}")

    tokenizer.save(str(HERE / "tokenizer.json"))
    config.to_json_file(HERE / "config.json")
    weights = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()
               if name != "lm_head.weight"}
    save_file(weights, HERE / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
