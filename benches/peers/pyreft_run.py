"""Trains and evaluates LoReFT with pyreft, as a job says: pyreft_run.py JOB.json RESULT.json

Everything is pyreft's own: its interventions, data classes, collator, trainer and generation. This script gives them the settings,
and writes down times, losses, shapes and answers. `run`, beside it, makes the job (`workloads.job`) and reads the result.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # Spinning costs several times the CPU where cores are shared.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pyreft
import torch
import transformers
from pyreft.dataset import IGNORE_INDEX, ReftDataset
from pyreft.reft_trainer import ReftTrainerForCausalLM, make_data_collator
from safetensors.torch import load_file


class Rows(ReftDataset):
    """Prompts, with the target and the end token in training; the length of the prompt counts all of its tokens."""

    def preprocess(self, kwargs):
        self.job, self.with_target = kwargs["job"], kwargs["with_target"]

    def encode(self, text):
        encoded = self.tokenizer(text, max_length=self.job["max_length"], truncation=True, return_tensors="pt")
        return encoded["input_ids"][0]

    def tokenize(self, item):
        prompt = self.job["prompt"].format_map(item)
        prompt_ids = self.encode(prompt)
        if not self.with_target:
            return {"input_ids": prompt_ids}, len(prompt_ids)
        input_ids = self.encode(prompt + self.job["target"].format_map(item) + self.tokenizer.eos_token)
        labels = input_ids.clone()
        labels[: len(prompt_ids)] = IGNORE_INDEX
        return {"input_ids": input_ids, "labels": labels}, len(prompt_ids)


class Collator:
    """pyreft's collator, which also writes down what it made of each batch."""

    def __init__(self, inner):
        self.inner, self.shapes = inner, []

    def __call__(self, rows):
        batch = self.inner(rows)
        count, length = batch["input_ids"].shape
        self.shapes.append({"rows": count, "length": length, "tokens": int(batch["attention_mask"].sum())})
        return batch


class Watch(transformers.TrainerCallback):
    """The beginning and the end of every step, and its loss; stops after `limit` steps."""

    def __init__(self, limit):
        self.limit, self.begins, self.ends, self.losses = limit, [], [], []

    def on_step_begin(self, arguments, state, control, **_):
        self.begins.append(time.monotonic())
        if self.limit == 0:
            raise FirstStep

    def on_step_end(self, arguments, state, control, **_):
        self.ends.append(time.monotonic())
        print(f"step {state.global_step}: {self.ends[-1] - self.begins[-1]:.2f} s", flush=True)
        if self.limit is not None and state.global_step >= self.limit:
            control.should_training_stop = True

    def on_log(self, arguments, state, control, logs=None, **_):
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


class FirstStep(Exception):
    """Only the start was asked for."""


def load(job):
    """The model with fresh interventions, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model"])
    tokenizer.pad_token = tokenizer.unk_token
    model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], torch_dtype=torch.float32)
    representations = [
        {
            "layer": layer,
            "component": "block_output",
            "low_rank_dimension": job["rank"],
            "intervention": pyreft.LoreftIntervention(
                embed_dim=model.config.hidden_size, low_rank_dimension=job["rank"], dropout=0.0, dtype=torch.float32
            ),
        }
        for layer, _ in places(job, model.config)
    ]
    return pyreft.get_reft_model(model, pyreft.ReftConfig(representations=representations)), tokenizer


def places(job, config):
    """Layer and positions of each set of parameters, in pyreft's order: where they are not tied, the first positions of
    all layers stand before the last ones."""
    layers = list(range(config.num_hidden_layers)) if job["layers"] is None else job["layers"]
    ends = [job["positions"]] if job["tied"] else job["positions"].split("+")
    return [(layer, end) for end in ends for layer in layers]


def rows(job, name, count, tokenizer, config, with_target):
    text = Path(job[name]).read_text()
    items = [json.loads(line) for line in text.splitlines()] if job["lines"] and with_target else json.loads(text)
    items = items[:count]
    dataset = Rows(
        "peers", None, tokenizer, dataset=items, job=job, with_target=with_target, position=job["positions"],
        num_interventions=len(places(job, config)), share_weights=job["tied"],
    )  # fmt: skip
    return items, dataset


def train(job, reft_model, tokenizer):
    _, dataset = rows(job, "train", job["rows"], tokenizer, reft_model.model.config, with_target=True)
    watch = Watch(job["pyreft_steps"])
    collator = Collator(make_data_collator(tokenizer, reft_model.model))
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, num_train_epochs=job["epochs"], per_device_train_batch_size=job["batch"], learning_rate=job["rate"],
            lr_scheduler_type="linear", warmup_ratio=job["warmup"], weight_decay=0.0, max_grad_norm=1.0,
            optim="adamw_torch", logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, seed=job["seed"],
            disable_tqdm=True, remove_unused_columns=False,
        )  # fmt: skip
        trainer = ReftTrainerForCausalLM(
            model=reft_model, tokenizer=tokenizer, args=arguments, train_dataset=dataset, callbacks=[watch],
            data_collator=collator,
        )  # fmt: skip
        try:
            trainer.train()
        except FirstStep:
            pass
    done = len(watch.ends)
    return {"begins": watch.begins, "ends": watch.ends, "losses": watch.losses, "shapes": collator.shapes[:done]}


def take_parameters(job, reft_model):
    """Puts an intervention that reftc saved in the place of the fresh one."""
    saved = load_file(job["parameters"])
    for (layer, end), intervention in zip(places(job, reft_model.model.config), interventions(reft_model)):
        unit = f"edit.layer{layer}.{'tied' if '+' in end else end}"
        intervention.load_state_dict({name: saved[f"{unit}.{name}"] for name in ("weight", "bias", "rotate_layer")})


def interventions(reft_model):
    return [value[0] if isinstance(value, (tuple, list)) else value for value in reft_model.interventions.values()]


@torch.no_grad()
def evaluate(job, reft_model, tokenizer):
    items, dataset = rows(job, "test", job["test_rows"], tokenizer, reft_model.model.config, with_target=False)
    reft_model.model.eval()
    for intervention in interventions(reft_model):
        intervention.eval()
    begun = time.monotonic()
    batches, answers, correct = [], [], 0
    for start in range(0, len(items), job["test_batch"]):
        chosen = range(start, min(start + job["test_batch"], len(items)))
        length, outputs = generate(job, reft_model, tokenizer, [dataset[index] for index in chosen])
        new = [count_until(output[length:].tolist(), tokenizer.eos_token_id) for output in outputs]
        batches.append({"rows": len(new), "length": length, "new": outputs.shape[1] - length, "new_of_rows": new})
        for index, output in zip(chosen, outputs):
            text = tokenizer.decode(output[length:], skip_special_tokens=True)
            answers.append(text)
            answer = text.split(job["trigger"], 1)[1].strip() if job["trigger"] in text else None
            correct += answer == items[index]["answer"]
    seconds = time.monotonic() - begun
    for start, batch in zip(range(0, len(items), job["test_batch"]), batches):
        prompts = [dataset[index]["input_ids"].tolist()[1:] for index in range(start, start + batch["rows"])]
        batch["prompt_tokens"] = [len(prompt) for prompt in prompts]
        batch["shared_tokens"] = sum(batch["prompt_tokens"]) - distinct_beginnings(prompts)
    return {"seconds": seconds, "accuracy": correct / len(items), "batches": batches, "answers": answers}


def generate(job, reft_model, tokenizer, batch):
    """Pads on the left, as generation needs, and shifts the positions with it. Gives the padded length and the tokens."""
    length = max(len(row["input_ids"]) for row in batch)
    ids = torch.full((len(batch), length), tokenizer.pad_token_id)
    mask = torch.zeros((len(batch), length), dtype=torch.long)
    locations = []
    for index, row in enumerate(batch):
        shift = length - len(row["input_ids"])
        ids[index, shift:] = row["input_ids"]
        mask[index, shift:] = row["attention_mask"]
        locations.append((torch.tensor(row["intervention_locations"]) + shift).tolist())
    locations = torch.tensor(locations).permute(1, 0, 2).tolist()
    _, outputs = reft_model.generate(
        {"input_ids": ids, "attention_mask": mask}, unit_locations={"sources->base": (None, locations)},
        intervene_on_prompt=True, max_new_tokens=job["max_new_tokens"], do_sample=False,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return length, outputs


def count_until(tokens, end):
    """New tokens of a row, its end token included."""
    return tokens.index(end) + 1 if end in tokens else len(tokens)


def distinct_beginnings(prompts):
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})


def matrix_peak(repetitions=20):
    """The most GFLOP/s of a product of two square matrices."""
    best = 0.0
    for size in (512, 1024, 1536, 2048):
        left, right = torch.randn(size, size), torch.randn(size, size)
        for _ in range(repetitions):
            begun = time.perf_counter()
            left @ right
            best = max(best, 2e-9 * size**3 / (time.perf_counter() - begun))
    return {"gflops": best}


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    result = {}
    if "matrix_peak" in job["tasks"]:
        result["matrix_peak"] = matrix_peak()
    if "train" in job["tasks"] or "evaluate" in job["tasks"]:
        transformers.set_seed(job["seed"])
        reft_model, tokenizer = load(job)
        if "parameters" in job:
            take_parameters(job, reft_model)
        if "train" in job["tasks"]:
            result["training"] = train(job, reft_model, tokenizer)
        if "evaluate" in job["tasks"]:
            result["evaluation"] = evaluate(job, reft_model, tokenizer)
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
