"""From what was measured to one table."""

from statistics import mean

import flops

HEAD = ["workload", "", "reftc", "pyreft", "ratio", "ratio of FLOPs"]


def rows_of(workload, measured, peak):
    """The lines of one workload, each with the columns of `HEAD` after the first. `peak` is in GFLOP/s."""
    if "again" in measured:
        return start(measured)
    if "accuracy" in measured["reftc"][0] and "losses" in measured["reftc"][0]:
        return quality(measured)
    if "accuracy" in measured["reftc"][0]:
        return decoding(workload, measured, peak)
    return training(workload, measured, peak)


def training(workload, measured, peak):
    ours, theirs, plan = measured["reftc"], measured["pyreft"], measured["plan"]
    rows, taken = workload.rows * workload.epochs, theirs[0]["rows"]
    tokens = theirs[0]["tokens"] / taken
    shape = flops.Shape.of_plan(plan["model"]["config"])
    lowest = 0 if workload.layers is None else min(workload.layers)
    work = sum(flops.pyreft_step(shape, *batch, lowest) for batch in theirs[0]["shapes"]) / taken
    planned, constant = planned_flops(plan)
    bound = work / (planned / rows)
    pyreft = [taken / run["seconds"] for run in theirs]
    lines = [speed("examples/s", [rows / run["seconds"] for run in ours], pyreft, bound)]
    if workload.epochs > 1:
        later = [(workload.epochs - 1) * workload.rows / sum(run["epochs"][1:]) for run in ours]
        least = work / ((planned - constant) / rows)
        lines.append(speed(f"examples/s, epochs 2 to {workload.epochs}", later, pyreft, least))
    lines.append(
        speed("tokens/s", [rows * tokens / run["seconds"] for run in ours], [tokens * rate for rate in pyreft], bound)
    )
    lines += [memory(ours, theirs), first_step(ours, theirs)]
    common = min(workload.steps, theirs[0]["steps"])
    from_step = common - workload.steps_of_an_epoch if workload.epochs > 1 else common * 3 // 8
    window = slice(max(from_step, 0), common)
    losses = [mean(side[0]["losses"][window]) for side in (ours, theirs)]
    first = window.start + 1
    of_steps = f"mean loss of steps {first} to {common}" if first < common else f"loss of step {common}"
    lines.append([of_steps, *(f"{loss:.4f}" for loss in losses), "", ""])
    if common < workload.steps:
        last = mean(ours[0]["losses"][-workload.steps_of_an_epoch :])
        lines.append([f"mean loss of epoch {workload.epochs}", f"{last:.4f}", "–", "", ""])
    own = planned / mean(run["step_seconds"] for run in ours) / 1e9
    other = work * taken / mean(sum(run["step_seconds"]) for run in theirs) / 1e9
    lines.append(reached(own, other, peak))
    return lines


def planned_flops(plan):
    """Of the whole training: all that is computed, and what of it is computed once for all epochs."""
    cost = plan["cost"]
    if "planned_flops" in cost:
        return cost["planned_flops"], cost.get("constant_flops", 0.0)
    return cost["train_flops"], 0.0


def decoding(workload, measured, peak):
    ours, theirs, plan = measured["reftc"], measured["pyreft"], measured["plan"]
    batches = theirs[0]["batches"]
    shape = flops.Shape.of_plan(plan["model"]["config"])
    work = sum(flops.pyreft_decoding(shape, batch["rows"], batch["length"], batch["new"]) for batch in batches)
    gathered = lambda name: [value for batch in batches for value in batch[name]]
    prompts, new, shared = gathered("prompt_tokens"), gathered("new_of_rows"), sum(batch["shared_tokens"] for batch in batches)
    own = flops.own_decoding(shape, prompts, shared, new)
    bound = work / own
    tokens = sum(prompts) + sum(new)
    rates = [[workload.test_rows / run["seconds"] for run in side] for side in (ours, theirs)]
    per_row = tokens / workload.test_rows
    equal = sum(one == other for one, other in zip(ours[0]["answers"], theirs[0]["answers"]))
    return [
        speed("examples/s", *rates, bound),
        speed("tokens/s, of prompts and answers", *([per_row * rate for rate in side] for side in rates), bound),
        memory(ours, theirs),
        ["accuracy, same parameters", *(percent(side[0]["accuracy"]) for side in (ours, theirs)), "", ""],
        ["answers that are equal", f"{equal} of {workload.test_rows}", "", "", ""],
        reached(own / mean(run["seconds"] for run in ours) / 1e9, work / mean(run["seconds"] for run in theirs) / 1e9, peak),
    ]


def start(measured):
    ours, theirs = measured["reftc"], measured["pyreft"]
    return [
        [f"{line[0]}, {caches}", *line[1:]]
        for caches, side in (("empty caches", ours), ("again", measured["again"]))
        for line in [first_step(side, theirs)]
    ]


def quality(measured):
    sides = measured["reftc"][0], measured["pyreft"][0]
    return [
        ["loss, first", *(f"{side['losses'][0]:.3f}" for side in sides), "", ""],
        ["loss, last ten steps", *(f"{mean(side['losses'][-10:]):.3f}" for side in sides), "", ""],
        ["accuracy, own parameters", *(percent(side["accuracy"]) for side in sides), "", ""],
    ]


def speed(name, ours, theirs, bound):
    """Means, the best run behind them where there were several; the ratio is that of the means."""
    return [name, with_best(ours, max), with_best(theirs, max), f"{mean(ours) / mean(theirs):.1f}", f"{bound:.1f}"]


def memory(ours, theirs):
    peaks = [max(run["peak_mebibytes"] for run in side) for side in (ours, theirs)]
    return ["peak memory, MiB", *(f"{peak:.0f}" for peak in peaks), f"{peaks[0] / peaks[1]:.2f}", ""]


def first_step(ours, theirs):
    seconds = [[run["first_step"] for run in side] for side in (ours, theirs)]
    ratio = mean(seconds[0]) / mean(seconds[1])
    return ["first step begins after, s", *(with_best(side, min) for side in seconds), f"{ratio:.2f}", ""]


def reached(own, other, peak):
    """GFLOP/s of each side over what it computes, and their share of the machine's peak."""
    shares = [f"{rate:.0f}, {percent(rate / peak)} of peak" for rate in (own, other)]
    return ["GFLOP/s of FLOPs computed", *shares, "", ""]


def with_best(values, best):
    digits = lambda value: f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    only = digits(mean(values))
    return only if len(values) == 1 else f"{only} (best {digits(best(values))})"


def percent(share):
    return f"{100 * share:.1f} %"


def markdown(lines):
    """The table; `lines` are by the title of their workload."""
    text = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for title, of_workload in lines.items():
        for number, line in enumerate(of_workload):
            text.append("| " + " | ".join([title if number == 0 else "", *line]) + " |")
    return "\n".join(text) + "\n"
