"""Makes sites.safetensors and sites.json: LoReFT at each place of a layer, as pyreft and pyvene compute it.

Needs pyreft 0.1.0, pyvene 0.1.8, transformers 4.45.1 and torch 2.6.0. Run from anywhere:

    python tests/oracle/sites.py

The model, the rows, the positions, the rank and the first parameters of each layer are those of the setting `tied` of
tiny_loreft.safetensors; only the place differs. README.md says what each tensor is.
"""

import json
from importlib.metadata import version
from pathlib import Path

import pyreft
import torch
import transformers
from safetensors.torch import load_file, save_file

FOLDER = Path(__file__).parent
PLACES = ["block_input", "attention_output", "mlp_output", "block_output"]
# One place in each layer, and then all of them, which act in this order.
SETTINGS = {place: [place] for place in PLACES} | {"together": PLACES}
LAYERS = [1, 3]
RANK = 4
STEPS = [1, 2, 10]
RATE = 5e-3


def fresh_model(places, reference):
    """The tiny model with an intervention at each of the places of each layer, by layer and then by place."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        FOLDER / "tiny-llama", torch_dtype=torch.float32, attn_implementation="eager"
    )
    # Dropout of the model is 0; `eval` leaves no doubt.
    model.eval()
    representations = [
        {
            "layer": layer,
            "component": place,
            "low_rank_dimension": RANK,
            "intervention": pyreft.LoreftIntervention(
                embed_dim=model.config.hidden_size, low_rank_dimension=RANK, dtype=torch.float32
            ),
        }
        for layer in LAYERS
        for place in places
    ]
    reft = pyreft.get_reft_model(model, pyreft.ReftConfig(representations=representations))
    for unit, intervention in enumerate(interventions(reft)):
        number = unit // len(places)
        with torch.no_grad():
            orthogonal = intervention.rotate_layer.parametrizations.weight
            orthogonal[0].base.copy_(reference[f"tied.param.{number}.base"])
            orthogonal.original.copy_(-torch.eye(model.config.hidden_size, RANK))
            intervention.learned_source.weight.copy_(reference[f"tied.param.{number}.weight"])
            intervention.learned_source.bias.copy_(reference[f"tied.param.{number}.bias"])
            plain = reference[f"tied.param.{number}.rotate_layer"]
            assert torch.allclose(intervention.rotate_layer.weight, plain, atol=1e-6)
    return reft


def interventions(reft):
    """The interventions of a model, in the order in which they were given."""
    return list(reft.interventions.values())


def named(intervention):
    """The tensors that the reference's optimizer sees."""
    return {
        "householder_original": intervention.rotate_layer.parametrizations.weight.original,
        "weight": intervention.learned_source.weight,
        "bias": intervention.learned_source.bias,
    }


def forward(reft, reference):
    """Logits and mean loss of the batch. Row 0 of each example is a padding token that attention never sees."""
    inputs = {
        "input_ids": reference["tied.input_ids"],
        "attention_mask": reference["tied.attention_mask"],
        "labels": reference["tied.labels"],
    }
    # The same tokens for every intervention: [interventions, rows, positions].
    locations = [reference["tied.intervention_locations"][:, 0].tolist()] * len(interventions(reft))
    _, output = reft(inputs, unit_locations={"sources->base": (None, locations)})
    return output.logits, output.loss


def record(setting, reference, tensors):
    """Everything about one setting; returns its scalars."""
    reft = fresh_model(SETTINGS[setting], reference)
    logits, loss = forward(reft, reference)
    loss.backward()
    tensors[f"{setting}.logits"] = logits
    tensors[f"{setting}.loss"] = loss
    for number, intervention in enumerate(interventions(reft)):
        for name, parameter in named(intervention).items():
            tensors[f"{setting}.grad.{number}.{name}"] = parameter.grad.clone()

    reft = fresh_model(SETTINGS[setting], reference)
    parameters = [parameter for one in interventions(reft) for parameter in named(one).values()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, norms = [], []
    for step in range(1, max(STEPS) + 1):
        optimizer.zero_grad()
        _, loss = forward(reft, reference)
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0).item())
        optimizer.step()
        if step in STEPS:
            for number, intervention in enumerate(interventions(reft)):
                for name, parameter in named(intervention).items():
                    tensors[f"{setting}.adamw{step}.{number}.{name}"] = parameter.detach().clone()
                tensors[f"{setting}.adamw{step}.{number}.rotate_layer"] = intervention.rotate_layer.weight.detach()
    return {"losses": losses, "gradient_norms_before_clipping": norms}


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    reference = load_file(FOLDER / "tiny_loreft.safetensors")
    tensors, scalars = {}, {}
    for setting in SETTINGS:
        scalars[setting] = record(setting, reference, tensors)
        print(setting, scalars[setting]["losses"])

    # The place that is in tiny_loreft.safetensors too comes out as it does there.
    known = {"logits": "tied.logits_reft", "loss": "tied.loss_reft"}
    for number in range(len(LAYERS)):
        for name in ["householder_original", "weight", "bias"]:
            known[f"grad.{number}.{name}"] = f"tied.grad.{number}.{name}"
    for name, old in known.items():
        torch.testing.assert_close(tensors[f"block_output.{name}"], reference[old], rtol=1e-5, atol=1e-6)

    tensors = {name: tensor.detach().contiguous() for name, tensor in sorted(tensors.items())}
    save_file(tensors, FOLDER / "sites.safetensors")
    facts = {
        "versions": {
            "pyreft": version("pyreft"),
            "pyvene": version("pyvene"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "layers": LAYERS,
        "rank": RANK,
        "learning_rate": RATE,
        "settings": scalars,
    }
    (FOLDER / "sites.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
