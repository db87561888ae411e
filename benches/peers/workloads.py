"""The workloads: one table, from which both the spec of reftc and the job of pyreft are made."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

PROMPT = "{instruction}\\n"
TARGET = "the correct answer is {answer}"
TRIGGER = "the correct answer is "
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\\n\\n### Instruction:\\n{instruction}\\n\\n### Response:\\n"
)

# The first is in this repository; the others lie in the folder that --data names.
SENTIMENT = "sentiment/train.json"
SENTIMENT_TEST = "sentiment/test.json"


@dataclass(frozen=True)
class Workload:
    """One training recipe, and what is measured of it."""

    name: str
    title: str
    rows: int
    # Layers that are edited; None stands for all.
    layers: tuple[int, ...] | None
    positions: str
    tied: bool
    rank: int
    batch: int
    rate: float
    # Share of the steps over which the rate rises.
    warmup: float
    train: str = SENTIMENT
    # Written in JSON lines, whatever the file's name ends with.
    lines: bool = False
    prompt: str = PROMPT
    target: str = TARGET
    epochs: int = 1
    max_length: int = 512
    seed: int = 42
    # pyreft stops after this many steps of the whole schedule; None: it takes them all.
    pyreft_steps: int | None = None
    # Rows whose answers are generated, once the training is over; 0: none.
    test_rows: int = 0
    test: str = SENTIMENT_TEST
    test_batch: int = 16
    max_new_tokens: int = 32

    @property
    def steps_of_an_epoch(self):
        return -(-self.rows // self.batch)

    @property
    def steps(self):
        return self.epochs * self.steps_of_an_epoch

    @property
    def own_data(self):
        """Whether its rows are in this repository."""
        return self.train.startswith("sentiment/")


COMMONSENSE = Workload(
    name="A", title="commonsense recipe, sentiment", rows=256, layers=None, positions="f7+l7", tied=True, rank=8,
    batch=16, rate=9e-4, warmup=0.1,
)
LAST_TOKEN = Workload(
    name="B", title="last-token recipe, ARC-Easy", rows=64, layers=(15, 20, 25), positions="l1", tied=False, rank=4,
    batch=16, rate=4e-3, warmup=0.1, train="commonsense/ARC-Easy/train.json", epochs=10, pyreft_steps=8,
)
INSTRUCTION = Workload(
    name="C", title="instruction recipe, UltraFeedback", rows=16, layers=(3, 9, 18, 24), positions="f5+l5", tied=False,
    rank=4, batch=4, rate=9e-4, warmup=0.0, train="instruct/ultrafeedback_1k.json", lines=True,
    prompt=ALPACA, target="{output}",
)
WORKLOADS = {
    "A": COMMONSENSE,
    "B": LAST_TOKEN,
    "C": INSTRUCTION,
    "D": replace(COMMONSENSE, name="D", title="greedy decoding, sentiment", test_rows=300),
    "E": replace(COMMONSENSE, name="E", title="start-up", pyreft_steps=0),
    # What is learned, not how fast: each side trains and then evaluates its own parameters. Not run unless named.
    "all_layers": replace(COMMONSENSE, name="all_layers", title="quality, all layers", rows=500, epochs=2, test_rows=300),
    "three_layers": replace(
        LAST_TOKEN, name="three_layers", title="quality, three layers", rows=500, epochs=2, test_rows=300,
        train=SENTIMENT, pyreft_steps=None,
    ),
}  # fmt: skip
DEFAULT = ["A", "B", "C", "D", "E"]


def quick(workload):
    """The same with two or three steps: to see whether everything works, never for numbers."""
    rows = 2 * workload.batch if workload.epochs == 1 and workload.batch > 4 else workload.batch
    return replace(
        workload, rows=rows, epochs=min(workload.epochs, 3), test_rows=min(workload.test_rows, 16),
        pyreft_steps=workload.pyreft_steps and 2,
    )  # fmt: skip


def path_of(name, data):
    """The file of rows called `name`."""
    if name.startswith("sentiment/"):
        return Path(__file__).resolve().parents[2] / "examples" / "sentiment" / "data" / Path(name).name
    return Path(data).resolve() / name


def spec(workload, model, data):
    """The text of a spec. Its training is the same for all workloads that share a recipe."""
    form = "jsonl" if workload.lines else "json"
    rows = [f"  train  = {form}({quoted(path_of(workload.train, data))})[..{workload.rows}]"]
    evaluation = []
    if workload.test_rows:
        rows.append(f"  test   = json({quoted(path_of(workload.test, data))})[..{workload.test_rows}]")
        evaluation = [
            "",
            "  eval test {",
            "    on     = rows.test",
            f"    decode = greedy(max_tokens: {workload.max_new_tokens})",
            f"    answer = after({quoted(TRIGGER)})",
            "    metric = exact_match",
            f"    batch  = {workload.test_batch}",
            "  }",
        ]
    lines = [
        f"model base = gguf({quoted(model)})",
        "",
        "data rows {",
        *rows,
        f'  prompt = "{workload.prompt}"',
        f'  target = "{workload.target}"',
        "}",
        "",
        "experiment peers {",
        "  model = base",
        "  data  = rows",
        f"  seed  = {workload.seed}",
        "",
        "  intervene edit = loreft {",
        f"    layers    = {'all' if workload.layers is None else list(workload.layers)}",
        f"    positions = {workload.positions}",
        f"    tied      = {str(workload.tied).lower()}",
        f"    rank      = {workload.rank}",
        "  }",
        "",
        "  train {",
        f"    epochs     = {workload.epochs}",
        f"    batch      = {workload.batch}",
        f"    lr         = {workload.rate}",
        f"    schedule   = linear(warmup: {100 * workload.warmup:g}%)",
        f"    max_length = {workload.max_length}",
        "  }",
        *evaluation,
        "}",
    ]
    return "\n".join(lines) + "\n"


def job(workload, data):
    """What the runner of pyreft is told, as JSON."""
    unescaped = {name: getattr(workload, name).replace("\\n", "\n") for name in ("prompt", "target")}
    paths = {name: str(path_of(getattr(workload, name), data)) for name in ("train", "test")}
    rest = {"trigger": TRIGGER}
    return asdict(workload) | unescaped | paths | rest


def quoted(text):
    """A string of the language; JSON's escapes are its own."""
    return json.dumps(str(text), ensure_ascii=False)
