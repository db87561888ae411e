#!/usr/bin/env python3
"""The peer: the same training step as a torch user would write it, on the same shape and lengths of rows, with random weights.

    peer.py JOB RESULT [--device cuda] [--seconds S]

A frozen Llama in the model's precision with its weights made on the device, LoReFT in f32 as forward hooks of the edited layers, R kept
orthonormal by torch's own parametrization, batches padded on the right, `scaled_dot_product_attention`, logits of all tokens and their
cross entropy over the targets as transformers computes them, clipping, AdamW. README.md says where this is faster than what most write.
"""

import argparse
import inspect
import json
import resource
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import orthogonal

IGNORED = -100
SPREAD = 0.02
WARM_UP_STEPS = 3
LEAST_STEPS = 2
GROUPED_HEADS = "enable_gqa" in (inspect.getdoc(functional.scaled_dot_product_attention) or "")


class Block(nn.Module):
    """One layer of a Llama."""

    def __init__(self, config):
        super().__init__()
        hidden, head_dim = config["hidden"], config["head_dim"]
        queries, keys = config["heads"] * head_dim, config["key_value_heads"] * head_dim
        self.heads, self.key_heads, self.head_dim = config["heads"], config["key_value_heads"], head_dim
        self.attention_norm = nn.RMSNorm(hidden, eps=config["epsilon"])
        self.q, self.k, self.v = (nn.Linear(hidden, width, bias=False) for width in (queries, keys, keys))
        self.o = nn.Linear(queries, hidden, bias=False)
        self.feed_forward_norm = nn.RMSNorm(hidden, eps=config["epsilon"])
        self.gate, self.up = (nn.Linear(hidden, config["inner"], bias=False) for _ in range(2))
        self.down = nn.Linear(config["inner"], hidden, bias=False)

    def forward(self, states, cosine, sine):
        rows, length, _ = states.shape
        normal = self.attention_norm(states)
        split = lambda values, heads: values.view(rows, length, heads, self.head_dim).transpose(1, 2)
        query = rotated(split(self.q(normal), self.heads), cosine, sine)
        key = rotated(split(self.k(normal), self.key_heads), cosine, sine)
        value = split(self.v(normal), self.key_heads)
        mixed = attention(query, key, value).transpose(1, 2).reshape(rows, length, -1)
        states = states + self.o(mixed)
        normal = self.feed_forward_norm(states)
        return states + self.down(functional.silu(self.gate(normal)) * self.up(normal))


def attention(query, key, value):
    """Causal. Rows are padded on the right, so no token of a row sees padding and no mask is needed."""
    if query.shape[1] == key.shape[1]:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    if GROUPED_HEADS:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    group = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def rotated(values, cosine, sine):
    """Rotary embedding with the halves of a head apart, as checkpoints of transformers have it."""
    left, right = values.chunk(2, dim=-1)
    return values * cosine + torch.cat((-right, left), dim=-1) * sine


class Llama(nn.Module):
    """A frozen decoder with random weights."""

    def __init__(self, config):
        super().__init__()
        self.embeddings = nn.Embedding(config["vocabulary"], config["hidden"])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["layers"]))
        self.norm = nn.RMSNorm(config["hidden"], eps=config["epsilon"])
        self.head = nn.Linear(config["hidden"], config["vocabulary"], bias=False)
        if config["tied"]:
            self.head.weight = self.embeddings.weight
        # Frequencies may be scaled for long contexts; that changes angles, not work.
        exponents = torch.arange(0, config["head_dim"], 2, dtype=torch.float32) / config["head_dim"]
        self.register_buffer("frequencies", config["theta"] ** -exponents, persistent=False)

    def forward(self, tokens):
        states = self.embeddings(tokens)
        places = torch.arange(tokens.shape[1], device=tokens.device, dtype=torch.float32)
        angles = torch.outer(places, self.frequencies.float())
        angles = torch.cat((angles, angles), dim=-1)
        cosine, sine = angles.cos().to(states.dtype), angles.sin().to(states.dtype)
        for block in self.blocks:
            states = block(states, cosine, sine)
        return self.head(self.norm(states))

    @torch.no_grad()
    def draw(self, generator):
        """Weights as of a fresh model; what is added to the residual stream is divided by √(2·layers)."""
        for name, weight in self.named_parameters():
            weight.requires_grad_(False)
            if "norm" in name:
                continue
            into_stream = name.endswith((".o.weight", ".down.weight"))
            weight.normal_(0.0, SPREAD / (2 * len(self.blocks)) ** 0.5 if into_stream else SPREAD, generator=generator)


class Rotation(nn.Module):
    """R, `[hidden, rank]`, whose columns the parametrization keeps orthonormal."""

    def __init__(self, hidden, rank):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, rank, dtype=torch.float32))
        nn.init.orthogonal_(self.weight)


class Loreft(nn.Module):
    """h + R (W h + b − Rᵀ h) at some tokens, in f32."""

    def __init__(self, hidden, rank):
        super().__init__()
        self.rotation = orthogonal(Rotation(hidden, rank))
        self.source = nn.Linear(hidden, rank, dtype=torch.float32)

    def forward(self, states, rows, places):
        chosen = states[rows, places].float()
        matrix = self.rotation.weight
        edited = chosen + (self.source(chosen) - chosen @ matrix) @ matrix.T
        return states.index_put((rows, places), edited.to(states.dtype))


class Batch:
    """The rows of one step, padded, with random tokens, and the places of each set of parameters."""

    def __init__(self, lengths, job, generator, device):
        self.rows, self.length = len(lengths), max(total for _, total in lengths)
        self.tokens = sum(total for _, total in lengths)
        ids = torch.randint(job["config"]["vocabulary"], (self.rows, self.length), generator=generator)
        labels = torch.full((self.rows, self.length), IGNORED)
        for row, (prompt, total) in enumerate(lengths):
            ids[row, total:] = 0
            labels[row, prompt:total] = ids[row, prompt:total]
        segments = [[segment] for segment in job["segments"]]
        groups = [sum(segments, [])] if job["tied"] else segments
        self.ids, self.labels = ids.to(device), labels.to(device)
        self.places = [self.of_group(group, lengths, device) for group in groups]

    def of_group(self, group, lengths, device):
        rows, places = [], []
        for row, (prompt, _) in enumerate(lengths):
            for kind, count in group:
                count = min(count, prompt // 2)
                start = 0 if kind == "first" else prompt - count
                places += range(start, start + count)
                rows += [row] * count
        return torch.tensor(rows, device=device), torch.tensor(places, device=device)


class Training:
    """The model with its hooks, and the optimizer."""

    def __init__(self, job, device):
        self.job, self.device = job, device
        torch.manual_seed(job["seed"])
        precision = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[job["precision"]]
        # Made where it stays: a model of 7 billion weights on the host first would take minutes.
        torch.set_default_dtype(precision)
        with torch.device(device):
            self.model = Llama(job["config"])
        torch.set_default_dtype(torch.float32)
        self.model.draw(torch.Generator(device).manual_seed(job["seed"]))
        units = 1 if job["tied"] else len(job["segments"])
        with torch.device(device):
            make = lambda: Loreft(job["config"]["hidden"], job["rank"])
            self.units = nn.ModuleList(nn.ModuleList(make() for _ in range(units)) for _ in job["layers"])
        self.batch = None
        for layer, of_layer in zip(job["layers"], self.units):
            self.model.blocks[layer].register_forward_hook(self.hook(of_layer))
        self.parameters = list(self.units.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=job["rate"], weight_decay=0.0)

    def hook(self, units):
        def edit(_module, _inputs, states):
            for unit, places in zip(units, self.batch.places):
                states = unit(states, *places)
            return states

        return edit

    def step(self, batch):
        self.batch = batch
        logits = self.model(batch.ids).float()
        predicted, wanted = logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten()
        loss = functional.cross_entropy(predicted, wanted, ignore_index=IGNORED)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.job["clip"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()


def flops(config, rows, length, lowest):
    """Of one step, a multiply-add is two: every token of the padded batch through all blocks and the head, each looking at itself and those
    before it, and gradients of inputs back to the lowest edited layer. Edits are left out."""
    queries, keys = config["heads"] * config["head_dim"], config["key_value_heads"] * config["head_dim"]
    weights = 2 * config["hidden"] * (2 * queries + 2 * keys + 3 * config["inner"])
    pairs = 4 * queries * (length + 1) / 2
    head = 2 * config["hidden"] * config["vocabulary"]
    forward = config["layers"] * (weights + pairs) + head
    backward = (config["layers"] - 1 - lowest) * (weights + 2 * pairs) + head
    return rows * length * (forward + backward)


def peak_bytes(device):
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(job, device, seconds):
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    begun = time.perf_counter()
    training = Training(job, device)
    wait()
    made = time.perf_counter() - begun
    generator = torch.Generator().manual_seed(job["seed"])
    batches = [Batch(lengths, job, generator, device) for lengths in job["steps"]]
    for number in range(WARM_UP_STEPS):
        training.step(batches[number % len(batches)])
    wait()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # The host runs ahead of the device within a step, and waits at its end, as where a loss is logged.
    taken, losses, times = [], [], []
    begun = last = time.perf_counter()
    while last - begun < seconds or len(taken) < LEAST_STEPS:
        batch = batches[len(taken) % len(batches)]
        losses.append(training.step(batch).item())
        now = time.perf_counter()
        times.append(now - last)
        taken.append(batch)
        last = now
    wait()
    whole = time.perf_counter() - begun
    tokens = sum(batch.tokens for batch in taken)
    work = sum(flops(job["config"], batch.rows, batch.length, min(job["layers"])) for batch in taken)
    return {
        "steps": len(taken),
        "made": made,
        "tokens_per_second": tokens / whole,
        "examples_per_second": sum(batch.rows for batch in taken) / whole,
        "seconds_per_step": statistics.median(times),
        "padded_tokens_per_token": sum(batch.rows * batch.length for batch in taken) / tokens,
        "flops_per_token": work / tokens,
        "flops_per_second": work / whole,
        "peak_bytes": peak_bytes(device),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "torch": torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description="the training step of a job in plain torch")
    parser.add_argument("job", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, help="no step is begun after so long")
    parser.add_argument("--threads", type=int, help="on the CPU")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    job = json.loads(options.job.read_text())
    seconds = job["seconds"] if options.seconds is None else options.seconds
    found = measure(job, torch.device(options.device), seconds)
    options.result.write_text(json.dumps(found, indent=1) + "\n")
    print(
        f"torch {found['torch']}: {found['steps']} steps of {found['seconds_per_step']:.4f} s, "
        f"{found['tokens_per_second']:.0f} tokens/s, {found['flops_per_second'] / 1e12:.3f} TFLOP/s, "
        f"memory {found['peak_bytes'] / 2**30:.2f} GiB, loss {found['first_loss']:.3f} to {found['last_loss']:.3f}"
    )


if __name__ == "__main__":
    main()
