"""Floating-point operations, from the shape of a model and of what goes through it; a multiply-add is two."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The widths of a decoder of the Llama family."""

    layers: int
    hidden: int
    inner: int
    queries: int
    key_values: int
    vocabulary: int

    @staticmethod
    def of_plan(config):
        """From the model's `config` in a plan of reftc."""
        return Shape(
            config["layers"], config["hidden_size"], config["intermediate_size"],
            config["heads"] * config["head_dim"], config["key_value_heads"] * config["head_dim"], config["vocabulary"],
        )  # fmt: skip

    @property
    def weights(self):
        """The matrix products of one block, for one token."""
        return 2 * self.hidden * (2 * self.queries + 2 * self.key_values + 3 * self.inner)

    @property
    def head(self):
        """The logits of one token."""
        return 2 * self.hidden * self.vocabulary

    def attention(self, keys):
        """Scores and mixture of one token that is multiplied with so many keys, masked ones included."""
        return 4 * keys * self.queries


def pyreft_step(shape, rows, length, lowest):
    """A training step on a padded batch: every token through every block and the head; then gradients of inputs, back to
    the lowest edited layer. Weights are frozen and get none. The edits themselves are left out: less than 1 %."""
    attention = shape.attention(length)
    forward = shape.layers * (shape.weights + attention) + shape.head
    backward = (shape.layers - 1 - lowest) * (shape.weights + 2 * attention) + shape.head
    return rows * length * (forward + backward)


def pyreft_decoding(shape, rows, length, new_tokens):
    """Greedy decoding of a padded batch until its last row has ended: logits of the last token alone."""
    prompts = rows * (length * shape.layers * (shape.weights + shape.attention(length)) + shape.head)
    later = sum(shape.layers * (shape.weights + shape.attention(length + i)) + shape.head for i in range(1, new_tokens))
    return prompts + rows * later


def own_decoding(shape, prompt_tokens, shared_tokens, new_tokens):
    """Greedy decoding where nothing is padded, rows that ended are left out, and `shared_tokens` of all prompts were
    computed for another row. Of each row its prompt tokens and new tokens are given."""
    flops = -shared_tokens * shape.layers * shape.weights
    for prompt, new in zip(prompt_tokens, new_tokens):
        tokens = prompt + new - 1
        seen = tokens * (tokens + 1) // 2
        flops += shape.layers * (tokens * shape.weights + shape.attention(seen)) + new * shape.head
    return flops
