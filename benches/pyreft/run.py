"""Trains LoReFT with pyreft on the sentiment rows, for comparison with reftc; see README.md beside this file.

Everything is pyreft's own: its interventions, data classes, collator and trainer. This script gives them the two settings of
examples/sentiment/sentiment.reft, and prints times, losses, memory and, where asked, the accuracy on test rows.
"""

import argparse
import json
import os
import resource
import statistics
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

SETTINGS = {
    "all_layers": {"layers": list(range(30)), "position": "f7+l7", "rank": 8, "rate": 9e-4},
    "three_layers": {"layers": [15, 20, 25], "position": "l1", "rank": 4, "rate": 4e-3},
}
TRIGGER = "the correct answer is "
DATA = Path(__file__).resolve().parents[2] / "examples" / "sentiment" / "data"


class Rows(ReftDataset):
    """Prompts `{instruction}\\n`, with the target `the correct answer is {answer}` and the end token in training."""

    def preprocess(self, kwargs):
        self.with_target = kwargs["with_target"]

    def tokenize(self, item):
        prompt = item["instruction"] + "\n"
        encode = lambda text: self.tokenizer(text, return_tensors="pt")["input_ids"][0]
        prompt_ids = encode(prompt)
        if not self.with_target:
            return {"input_ids": prompt_ids}, len(prompt_ids)
        input_ids = encode(prompt + TRIGGER + item["answer"] + self.tokenizer.eos_token)
        labels = input_ids.clone()
        labels[: len(prompt_ids)] = IGNORE_INDEX
        return {"input_ids": input_ids, "labels": labels}, len(prompt_ids)


class Timer(transformers.TrainerCallback):
    """Wall and CPU seconds of every step, and the losses."""

    def __init__(self):
        self.wall, self.cpu, self.losses = [], [], []

    def on_step_begin(self, *_, **__):
        self.begun = time.perf_counter(), time.process_time()

    def on_step_end(self, arguments, state, control, **_):
        self.wall.append(time.perf_counter() - self.begun[0])
        self.cpu.append(time.process_time() - self.begun[1])
        print(f"step {state.global_step}: {self.wall[-1]:.2f} s, {self.cpu[-1]:.2f} CPU s", flush=True)

    def on_log(self, arguments, state, control, logs=None, **_):
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def load(folder, setting):
    """The model with fresh interventions, and its tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.unk_token
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    representations = [
        {
            "layer": layer,
            "component": "block_output",
            "low_rank_dimension": setting["rank"],
            "intervention": pyreft.LoreftIntervention(
                embed_dim=model.config.hidden_size, low_rank_dimension=setting["rank"], dropout=0.0, dtype=torch.float32
            ),
        }
        for layer in setting["layers"]
    ]
    reft_model = pyreft.get_reft_model(model, pyreft.ReftConfig(representations=representations))
    return reft_model, tokenizer


def rows(name, count, tokenizer, setting, with_target):
    items = json.loads((DATA / name).read_text())[:count]
    return items, Rows(
        "sentiment", None, tokenizer, dataset=items, with_target=with_target,
        position=setting["position"], num_interventions=len(setting["layers"]), share_weights=True,
    )


def train(reft_model, tokenizer, setting, options):
    _, dataset = rows("train.json", options.rows, tokenizer, setting, with_target=True)
    timer = Timer()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, num_train_epochs=options.epochs, max_steps=options.steps, per_device_train_batch_size=16,
            learning_rate=setting["rate"], lr_scheduler_type="linear", warmup_ratio=0.1, weight_decay=0.0,
            max_grad_norm=1.0, optim="adamw_torch", logging_steps=1, save_strategy="no", report_to=[], use_cpu=True,
            seed=options.seed, disable_tqdm=True, remove_unused_columns=False,
        )
        trainer = ReftTrainerForCausalLM(
            model=reft_model, tokenizer=tokenizer, args=arguments, train_dataset=dataset, callbacks=[timer],
            data_collator=make_data_collator(tokenizer, reft_model.model),
        )
        begun = time.perf_counter(), time.process_time()
        trainer.train()
        wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    mean, last = statistics.mean, timer.losses[-10:]
    print(f"trained {len(timer.wall)} steps in {wall:.1f} s, {cpu:.1f} CPU s")
    print(f"a step: wall mean {mean(timer.wall):.2f} s, least {min(timer.wall):.2f} s; CPU mean {mean(timer.cpu):.2f} s")
    print(f"loss: first {timer.losses[0]:.3f}, mean of the last {len(last)} {mean(last):.3f}; peak memory {memory:.0f} MiB")


@torch.no_grad()
def evaluate(reft_model, tokenizer, setting, options):
    items, dataset = rows("test.json", options.eval, tokenizer, setting, with_target=False)
    reft_model.model.eval()
    for intervention in reft_model.interventions.values():
        (intervention[0] if isinstance(intervention, (tuple, list)) else intervention).eval()
    begun, correct = time.perf_counter(), 0
    for start in range(0, len(items), 16):
        batch = [dataset[index] for index in range(start, min(start + 16, len(items)))]
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
            intervene_on_prompt=True, max_new_tokens=32, do_sample=False,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )
        for item, output in zip(items[start : start + 16], outputs):
            text = tokenizer.decode(output[length:], skip_special_tokens=True)
            answer = text.split(TRIGGER, 1)[1].strip() if TRIGGER in text else None
            correct += answer == item["answer"]
    seconds = time.perf_counter() - begun
    print(f"exact match {100 * correct / len(items):.1f} % on {len(items)} rows in {seconds:.1f} s")


def main():
    parser = argparse.ArgumentParser(description="LoReFT with pyreft on the sentiment rows")
    parser.add_argument("model", help="the model's folder, in the form of Hugging Face")
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--rows", type=int, default=500, help="training rows (500)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=-1, help="stop after this many steps")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--eval", type=int, default=0, help="test rows to generate answers for (none)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.set_seed(options.seed)
    setting = SETTINGS[options.setting]
    reft_model, tokenizer = load(options.model, setting)
    reft_model.print_trainable_parameters()
    train(reft_model, tokenizer, setting, options)
    if options.eval:
        evaluate(reft_model, tokenizer, setting, options)


if __name__ == "__main__":
    main()
