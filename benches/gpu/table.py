"""From what the kit found to one table."""

HEAD = ["shape", "workload", "", "reftc", "torch", "ratio", "ratio of FLOPs"]
GIBIBYTE = 2**30

# Names of failed checks in the sentence above the table; all are in the JSON.
SHOWN = 5

# What the largest shape must reach on a GPU.
LEAST_SHARE_OF_PEAK, LEAST_SPEED_UP, MOST_MEMORY, LEAST_OF_BOUND = 0.4, 1.3, 0.7, 0.7


def markdown(found):
    """A sentence on what was measured where, the table, and what of the aims was reached."""
    text, table = [about(found)], lines(found)
    if table:
        text += ["", row(HEAD), "|" + "---|" * len(HEAD), *map(row, table)]
    reached = aims(found)
    if reached:
        text += ["", *(f"- {line}" for line in reached)]
    return "\n".join(text) + "\n"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def about(found):
    checks, train = found.get("checks"), found.get("train")
    text = f"{found.get('card') or found.get('machine') or found['device']}, {found['date']}."
    if checks == []:
        text += " The checks did not run."
    elif checks:
        failed = [check["name"] for check in checks if not check["passed"]]
        passed = f"{len(checks) - len(failed)} of {len(checks)} checks of numerics pass."
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        text += f" {passed}" + (f" Those that fail: {'; '.join(failed[:SHOWN])}{more}." if failed else "")
    if train:
        accuracy = f"accuracy {train['baseline']:.2f} to {train['accuracy']:.2f}"
        text += f" The tiny model learns: loss {train['first_loss']:.3f} to {train['last_loss']:.3f}, {accuracy}."
    peaks = [pair["reftc"]["matrix_flops_per_second"] for pair in found["measured"].values() if pair["reftc"]]
    if peaks:
        precision = next(pair["reftc"]["precision"] for pair in found["measured"].values() if pair["reftc"])
        text += f" {precision} products of square matrices reach {teraflops(min(peaks))} to {teraflops(max(peaks))} TFLOP/s."
    versions = {pair["torch"]["torch"] for pair in found["measured"].values() if pair["torch"]}
    return text + (f" torch {', '.join(sorted(versions))}." if versions else " Nothing was measured of torch.")


def lines(found):
    """The cells of all rows."""
    table = []
    for name, pair in found["measured"].items():
        shape, workload = name.split(" ")
        ours, theirs = pair["reftc"], pair["torch"]
        for number, line in enumerate(training(workload, ours, theirs)):
            table.append([shape if number == 0 else "", workload if number == 0 else "", *line])
    return table


def training(workload, ours, theirs):
    if not ours:
        return [["tokens/s", "failed", "–", "", ""]]
    planned, peak = ours["planned"], ours["matrix_flops_per_second"]
    step = f"{ours['batch']} rows of {ours['mean_tokens']:.0f} tokens ({ours['recipe']})"
    bound = flops_ratio(planned, theirs)
    found = [
        compared(f"tokens/s; {step}", planned, theirs, "tokens_per_second", rate) + [times(bound)],
        compared("seconds a step, median", planned, theirs, "seconds_per_step", seconds) + [""],
        memory(ours, theirs),
        ["TFLOP/s, share of peak", *(reached(side, peak) for side in (planned, theirs)), "", ""],
    ]
    later, off = ours["later_tokens_per_second"], ours["passes_off"]
    if later:
        ratio = times(later / theirs["tokens_per_second"]) if theirs else ""
        found.append(["tokens/s after the first epoch", rate(later), "", ratio, ""])
    if off:
        of_off = ours["bound"]
        found.append(["tokens/s with passes off", rate(off["tokens_per_second"]), "", times(of_off["speed_up"]), times(of_off["flops_ratio"])])
        found.append(["share of the FLOP bound over passes off", percent(of_off["reached"]), "", "", ""])
    if workload == "B" and theirs:
        found.append(["share of the FLOP bound over torch", percent(of_bound(planned, theirs)), "", "", ""])
    return found


def compared(name, ours, theirs, field, shown):
    ratio = times(ours[field] / theirs[field]) if theirs else ""
    return [name, shown(ours[field]), shown(theirs[field]) if theirs else "–", ratio]


def memory(ours, theirs):
    own, other = ours["planned"]["peak_bytes"], theirs and theirs["peak_bytes"]
    ratio = times(own / other) if own and other else ""
    name = f"peak memory, GiB ({gibibytes(ours['weight_bytes'])} of it weights)"
    return [name, gibibytes(own) if own else "–", gibibytes(other) if other else "–", ratio, ""]


def reached(side, peak):
    return f"{teraflops(side['flops_per_second'])}, {percent(side['flops_per_second'] / peak)}" if side else "–"


def flops_ratio(ours, theirs):
    """How many times the work of a token is with the peer."""
    return theirs["flops_per_token"] / ours["flops_per_token"] if theirs else None


def of_bound(ours, theirs):
    return ours["tokens_per_second"] / theirs["tokens_per_second"] / flops_ratio(ours, theirs)


def aims(found):
    """What the largest shape must reach, where it was measured on a GPU."""
    if not found["device"].startswith("cuda"):
        return []
    texts = []
    aim = lambda name, value, good, wanted: texts.append(f"{name}: {value}, aim {wanted}: {'reached' if good else 'missed'}")
    a, b = (found["measured"].get(f"7b {name}", {"reftc": None, "torch": None}) for name in "AB")
    if a["reftc"]:
        planned = a["reftc"]["planned"]
        share = planned["share_of_peak"]
        aim("7b A, share of the peak", percent(share), share >= LEAST_SHARE_OF_PEAK, f"{percent(LEAST_SHARE_OF_PEAK)} at least")
        if a["torch"]:
            ratio = planned["tokens_per_second"] / a["torch"]["tokens_per_second"]
            aim("7b A, tokens/s over torch", times(ratio), ratio >= LEAST_SPEED_UP, f"{LEAST_SPEED_UP} at least")
        if a["torch"] and planned["peak_bytes"]:
            ratio = planned["peak_bytes"] / a["torch"]["peak_bytes"]
            aim("7b A, memory over torch", times(ratio), ratio <= MOST_MEMORY, f"{MOST_MEMORY} at most")
    if b["reftc"] and b["torch"]:
        share = of_bound(b["reftc"]["planned"], b["torch"])
        aim("7b B, share of the FLOP bound over torch", percent(share), share >= LEAST_OF_BOUND, f"{percent(LEAST_OF_BOUND)} at least")
    if b["reftc"] and b["reftc"]["bound"]:
        share = b["reftc"]["bound"]["reached"]
        aim("7b B, share of the FLOP bound over passes off", percent(share), share >= LEAST_OF_BOUND, f"{percent(LEAST_OF_BOUND)} at least")
    return texts


def rate(value):
    return f"{value:.0f}"


def seconds(value):
    return f"{value:.4f}" if value < 1 else f"{value:.2f}"


def times(value):
    return "" if value is None else f"{value:.2f}"


def percent(share):
    return f"{100 * share:.1f} %"


def gibibytes(count):
    return f"{count / GIBIBYTE:.2f}"


def teraflops(value):
    return f"{value / 1e12:.3g}"
