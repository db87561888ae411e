"""Reviews of the shops and inns of the tiny model's town: is it worth a visit?

Writes data/train.jsonl and data/test.jsonl, rows of {"review", "label"}, as many
"yes" as "no". Every third remark of each kind ("fluffy", "burnt", ...) is kept
out of the training rows. Half of the test rows use only those kept-out remarks,
so whoever answers them has to know the words from elsewhere.

The script checks that the corpus the tiny model was pretrained on holds no
sentence of any row, and neither the heading nor the question of the prompt.

    python make_data.py
"""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "specs" / "tiny"))

from generate_corpus import REMARKS, Visit, a_or_an, corpus  # noqa: E402
from pretrain import SEED, TEXTS  # noqa: E402

ROWS = {"train": 400, "test": 300}
LABELS = ("yes", "no")
UNSEEN_IN_CORPUS = ("Review:", "worth a visit", "visit?")

OPENINGS = [
    "We tried {venue} on {day}.",
    "My first {time} at {venue}.",
    "I had read about {venue} for years.",
    "Stopped by {venue} with a friend.",
    "This is about {venue}.",
]
OPINIONS = [
    "My {good} turned out {g}, and the {keeper} was so {k}.",
    "I found the {keeper} very {k} and the {room} rather {r}.",
    "Such a {r} {room}, such a {g} {good}.",
    "A {k} {keeper} and a {g} {good}, that is all I will say.",
    "For the price I got a {g} {good} in a {r} {room}.",
]


def review(rng, mood, remarks):
    """One review of the given mood, using only the given remarks."""
    frames = [rng.choice(OPENINGS), *rng.sample(OPINIONS, rng.choice((1, 2)))]
    return a_or_an(" ".join(frames).format_map(Visit(rng, mood, remarks)))


def choose_remarks(keep):
    """The remarks whose place in their list satisfies `keep`."""
    return {
        kind: tuple([word for place, word in enumerate(words) if keep(place)] for words in pair)
        for kind, pair in REMARKS.items()
    }


def make_rows():
    """Balanced train and test rows, no review twice."""
    rng = random.Random(7)
    common = choose_remarks(lambda place: place % 3 != 2)
    kept_out = choose_remarks(lambda place: place % 3 == 2)
    used, splits = set(), {}
    for split, count in ROWS.items():
        rows = []
        while len(rows) < count:
            mood = len(rows) % 2
            novel = split == "test" and len(rows) % 4 >= 2
            text = review(rng, mood, kept_out if novel else common)
            if text not in used:
                used.add(text)
                rows.append({"review": text, "label": LABELS[mood]})
        rng.shuffle(rows)
        splits[split] = rows
    return splits


def check_unseen(splits):
    """Assert that the pretraining corpus has nothing of this task in it."""
    seen = "\n".join(corpus(TEXTS, SEED))
    for phrase in UNSEEN_IN_CORPUS:
        assert phrase not in seen, phrase
    for rows in splits.values():
        for row in rows:
            for sentence in row["review"].rstrip(".").split(". "):
                assert sentence not in seen, sentence


if __name__ == "__main__":
    splits = make_rows()
    check_unseen(splits)
    (HERE / "data").mkdir(exist_ok=True)
    for split, rows in splits.items():
        lines = [json.dumps(row) + "\n" for row in rows]
        (HERE / "data" / f"{split}.jsonl").write_text("".join(lines))
        print(f"{split}: {len(rows)} rows, {sum(row['label'] == 'yes' for row in rows)} yes")
