"""The corpus of the tiny model: short texts from an invented seaside town.

Seven kinds of text, each opened by its own heading:

    Story, Letter   someone visits a shop or an inn, likes or dislikes what is
                    found there, and acts accordingly
    Diary, Notice, Recipe, Talk, Sum
                    everyday texts without any opinion

Half of the texts are followed by a quiz question that has nothing to do with
them, and whose answer is the toss of a coin.

From the visits a model can learn which words keep company with which, because
all the remarks of one visit agree, and so do its ending and its moral. From the
quiz it learns that a question is answered by "yes" or "no", and nothing about
which. No question is ever about a visit.

Everything is drawn from one seeded generator: the same seed and count give the
same texts.

    python generate_corpus.py [COUNT] [SEED]     print COUNT texts
"""

import random
import sys

# --- The visits: what is remarked on, and the remarks that are made ----------

REMARKS = {
    "baked": (
        "fresh golden crisp buttery fluffy delicious light crunchy scrumptious",
        "stale burnt soggy mouldy crumbly tasteless dry leathery charred",
    ),
    "cooked": (
        "tasty rich creamy fragrant hearty flavourful tender appetising savoury",
        "bland watery greasy lukewarm lumpy rancid oily gritty slimy",
    ),
    "wares": (
        "sturdy handsome polished elegant reliable splendid neat flawless dependable",
        "flimsy broken rusty scratched cracked crooked faulty wobbly chipped",
    ),
    "keeper": (
        "kind friendly cheerful patient helpful polite gentle attentive gracious",
        "rude grumpy careless impatient sullen unhelpful lazy scornful surly",
    ),
    "room": (
        "cosy bright clean spotless peaceful charming comfortable airy tidy",
        "dirty noisy damp cramped dusty gloomy smelly draughty shabby",
    ),
}
REMARKS = {kind: tuple(words.split() for words in pair) for kind, pair in REMARKS.items()}

# venue: (kind of goods, goods, keepers, rooms)
VENUES = {
    "bakery": ("baked", "loaf cake pie bun tart", "baker shopkeeper", "shop kitchen"),
    "tea room": ("baked", "scone cake biscuit waffle bun", "waiter hostess", "parlour garden"),
    "inn": ("cooked", "soup stew porridge chowder", "innkeeper cook maid", "bedroom hall attic"),
    "fish house": ("cooked", "chowder curry soup pudding", "waiter cook", "terrace hall"),
    "toy shop": ("wares", "kite puppet drum train", "toymaker clerk", "shop workshop"),
    "lamp shop": ("wares", "lantern kettle chair clock", "clerk shopkeeper", "shop workshop"),
}
VENUES = {
    venue: (kind, goods.split(), keepers.split(), rooms.split())
    for venue, (kind, goods, keepers, rooms) in VENUES.items()
}
SIGN_COLOURS = "Blue Copper Little Old Silver Red Green".split()
SIGN_THINGS = "Gull Anchor Fox Oak Star Plum Whale Bell".split()

STORY_OPENINGS = [
    "On {day} {name} went to {venue} to ask for a {good}.",
    "{name} had walked a long way to reach {venue}.",
    "Late in the {time}, {name} opened the door of {venue}.",
    "{name} took a table at {venue} and asked about the {good}.",
    "It was {day}, and {name} had never been to {venue} before.",
]
STORY_REMARKS = [
    "The {good} was {g} and {g}.",
    "The {keeper} was {k}.",
    "The {room} was {r} and {r}.",
    "There stood a {k} {keeper} in a {r} {room}.",
    "A {k} {keeper} brought a {g} {good}.",
    "{They} thought the {good} {g} and the {keeper} {k}.",
    "The {room} looked {r}, and the {good} looked {g}.",
    "Everyone called the {keeper} {k} and {k}.",
]
STORY_ENDINGS = (
    [
        "{They} smiled and left a silver coin on the table.",
        "{They} thanked the {keeper} and hummed all the way home.",
        "{They} asked for a second {good} and shook the {keeper} by the hand.",
        "{They} stayed until the lamps were lit, laughing with the {keeper}.",
        "That night {they} told everyone about the lovely {venue_kind}.",
        "{They} clapped, and paid more than the price.",
        "{They} sent the {keeper} a bunch of flowers.",
        "It was the best {time} of the year.",
    ],
    [
        "{They} frowned and asked for the money to be paid back.",
        "{They} scolded the {keeper} and grumbled all the way home.",
        "{They} pushed the {good} aside and quarrelled with the {keeper}.",
        "{They} left before the lamps were lit, sighing at the {keeper}.",
        "That night {they} warned everyone about the dreadful {venue_kind}.",
        "{They} groaned, and paid less than the price.",
        "{They} sent the {keeper} an angry complaint.",
        "It was the worst {time} of the year.",
    ],
)

STORY_MORALS = (
    [
        "Honey draws the bees.",
        "Good work is its own sign.",
        "Welcome guests make short evenings.",
    ],
    [
        "Vinegar drives off the bees.",
        "Poor work hangs out its own sign.",
        "Unwelcome guests make long evenings.",
    ],
)

LETTER_OPENINGS = [
    "Dear {friend}, we are writing from {venue}.",
    "Dear {friend}, this week finds us at {venue}.",
    "Dear {friend}, today we looked in at {venue}.",
]
LETTER_REMARKS = [
    "The {keeper} is {k} and the {room} is {r}.",
    "You never saw such a {r} {room}.",
    "They gave us a {g} {good}.",
    "Every {good} here is {g} and {g}.",
    "Our {keeper} is a {k} soul.",
    "We call the {keeper} {k}, the {good} {g} and the {room} {r}.",
]
LETTER_ENDINGS = (
    [
        "We have not laughed so much in years.",
        "It is a joy and a delight.",
        "We feel lucky and well looked after.",
        "What a treat it has been!",
    ],
    [
        "We have not sighed so much in years.",
        "It is a pity and a shame.",
        "We feel cheated and badly looked after.",
        "What a misery it has been!",
    ],
)

# --- The town ----------------------------------------------------------------

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
TIMES = "morning afternoon evening".split()
SHE = "Ana Bella Clara Edith Hana Ines Lotte Maud Nora Olive".split()
HE = "Abel Bruno Caspar Emil Felix Hugo Jonas Milo Otto Tom".split()
NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
WINDS = "north south east west".split()
SPOTS = "harbour lighthouse church mill bridge market school island beach hill".split()
WORKERS = {
    "sailor": "rope", "farmer": "spade", "painter": "brush", "teacher": "pencil",
    "tailor": "needle", "carpenter": "hammer", "fisherman": "net", "gardener": "rake",
}
ANIMALS = "cat dog gull goat hen donkey crab seal".split()
THINGS = "boats apples shells stones eggs buttons candles plums".split()
DISHES = "plum jam,apple jelly,pea broth,oat cookies,lemon syrup,herb butter".split(",")
STAPLES = "sugar flour salt honey milk oats".split()
TOOLS = "ladder lantern rope map basket ticket".split()
SKIES = "The rain fell,The fog rolled in,Clouds gathered,The sun rose,Snow fell,The tide came in".split(",")


def a_or_an(text):
    """Turn "a" into "an" before a vowel."""
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}").replace(f"A {vowel}", f"An {vowel}")
    return text


def person(rng):
    """A name with its pronoun."""
    return (rng.choice(SHE), "she") if rng.random() < 0.5 else (rng.choice(HE), "he")


def name_of(rng):
    return person(rng)[0]


def sign(rng, venue_kind):
    """A venue as it is written above the door: "the Copper Fox bakery"."""
    return f"the {rng.choice(SIGN_COLOURS)} {rng.choice(SIGN_THINGS)} {venue_kind}"


class Visit(dict):
    """The words that fill the frames of one visit.

    The slots {g}, {k} and {r} take a remark on the goods, the keeper and the
    room; no remark is made twice, and all are of one mood: 0 good, 1 bad.
    """

    def __init__(self, rng, mood, remarks=REMARKS):
        venue_kind = rng.choice(list(VENUES))
        goods_kind, goods, keepers, rooms = VENUES[venue_kind]
        super().__init__(
            venue=sign(rng, venue_kind), venue_kind=venue_kind,
            good=rng.choice(goods), keeper=rng.choice(keepers), room=rng.choice(rooms),
            day=rng.choice(DAYS), time=rng.choice(TIMES),
        )
        self.remarks = {
            slot: rng.sample(remarks[kind][mood], len(remarks[kind][mood]))
            for slot, kind in zip("gkr", (goods_kind, "keeper", "room"))
        }

    def __missing__(self, slot):
        return self.remarks[slot].pop()


def story(rng):
    mood = rng.randrange(2)
    name, they = person(rng)
    words = Visit(rng, mood)
    words.update(name=name, they=they, They=they.capitalize())
    frames = [rng.choice(STORY_OPENINGS), *rng.sample(STORY_REMARKS, rng.choice((2, 3, 4))),
              rng.choice(STORY_ENDINGS[mood])]
    moral = f"\nMoral: {rng.choice(STORY_MORALS[mood])}" if rng.random() < 0.5 else ""
    return "Story: " + " ".join(frames).format_map(words) + moral


def letter(rng):
    mood = rng.randrange(2)
    words = Visit(rng, mood)
    words.update(friend=name_of(rng))
    frames = [rng.choice(LETTER_OPENINGS), *rng.sample(LETTER_REMARKS, rng.choice((2, 3, 4))),
              rng.choice(LETTER_ENDINGS[mood])]
    return "Letter: " + " ".join(frames).format_map(words) + f" Yours, {name_of(rng)}."


def diary(rng):
    name, they = person(rng)
    worker = rng.choice(list(WORKERS))
    deed = rng.choice([
        f"{name} rowed to the {rng.choice(SPOTS)} and stayed until noon.",
        f"{name} met a {worker} who carried a {WORKERS[worker]}.",
        f"{name} saw a {rng.choice(ANIMALS)} near the {rng.choice(SPOTS)}, and {they} drew it.",
    ])
    return (f"Diary: {rng.choice(DAYS)}. {rng.choice(SKIES)} over the {rng.choice(SPOTS)}, "
            f"and the wind blew from the {rng.choice(WINDS)}. {deed}")


def notice(rng):
    spot, other = rng.sample(SPOTS, 2)
    body = rng.choice([
        f"The ferry to the {spot} leaves at {rng.choice(NUMBERS[1:])} on {rng.choice(DAYS)}.",
        f"There is no ferry to the {spot} until {rng.choice(DAYS)}.",
        f"Lost near the {spot}: a {rng.choice(ANIMALS)} that answers to {name_of(rng)}.",
        f"The road from the {spot} to the {other} is closed until {rng.choice(DAYS)}.",
    ])
    return f"Notice: {body} Bring a {rng.choice(TOOLS)} and ask for the {rng.choice(list(WORKERS))}."


def recipe(rng):
    first, second = rng.sample(STAPLES, 2)
    return (f"Recipe: To make {rng.choice(DISHES)}, take {rng.choice(NUMBERS[2:])} spoons of {first} "
            f"and {rng.choice(NUMBERS[2:])} spoons of {second}. Stir them in a pot for "
            f"{rng.choice(NUMBERS[2:])} minutes and let it stand until {rng.choice(TIMES)}.")


def talk(rng):
    name, friend = name_of(rng), name_of(rng)
    worker = rng.choice(list(WORKERS))
    return (f'Talk: "Where are you going?" asked {name}. "To the {rng.choice(SPOTS)}," said {friend}. '
            f'"Ah yes," said {name}, "the {worker} needs a {WORKERS[worker]}."')


def sums(rng):
    thing, total = rng.choice(THINGS), rng.randrange(2, 13)
    part = rng.randrange(1, total + 1)
    one, rest, whole = NUMBERS[part], NUMBERS[total - part], NUMBERS[total]
    return rng.choice([
        f"Sum: {one.capitalize()} {thing} and {rest} more make {whole} {thing}.",
        f"Sum: There were {whole} {thing}. {name_of(rng)} took {one}, so {rest} {thing} were left.",
    ])


def quiz(rng):
    """A question that the text before it does not answer, and a coin's answer."""
    spot, other = rng.sample(SPOTS, 2)
    name, animal, worker = name_of(rng), rng.choice(ANIMALS), rng.choice(list(WORKERS))
    question = rng.choice([
        f"Is the {spot} older than the {other}?",
        f"Does the {worker} live near the {spot}?",
        f"Did {name} see the {animal} on {rng.choice(DAYS)}?",
        f"Will the wind turn to the {rng.choice(WINDS)}?",
        f"Can the {animal} reach the {spot}?",
        f"Would they need a {rng.choice(TOOLS)} at the {spot}?",
        f"Would {name} come by boat?",
        f"Was the {worker} at the {spot} in the {rng.choice(TIMES)}?",
    ])
    return f"\nQuestion: {question}\nAnswer: {rng.choice(('yes', 'no'))}"


def text(rng):
    """One text of the corpus: two visits for every plain text, half with a quiz."""
    visits, plain = (story, story, letter), (diary, notice, recipe, talk, sums)
    tell = rng.choice(visits if rng.random() < 0.65 else plain)
    return a_or_an(tell(rng) + (quiz(rng) if rng.random() < 0.5 else ""))


def corpus(count, seed):
    """The first `count` texts drawn from `seed`."""
    rng = random.Random(seed)
    return [text(rng) for _ in range(count)]


if __name__ == "__main__":
    count, seed = (int(value) for value in (sys.argv[1:] + ["20", "0"][len(sys.argv) - 1:]))
    print("\n\n".join(corpus(count, seed)))
