"""Runs reftc on a workload and reads what it wrote."""

import json
import os
import shutil
import subprocess
import time

import children


class Lines:
    """The lines of `metrics.jsonl` of a run, each with the time at which it was there."""

    def __init__(self, runs):
        self.runs, self.file, self.rest, self.found = runs, None, "", []

    def read(self):
        if self.file is None:
            path = next(self.runs.glob("*/*/metrics.jsonl"), None)
            if path is None:
                return
            self.file = open(path)
        now = time.monotonic()
        *lines, self.rest = (self.rest + self.file.read()).split("\n")
        self.found += [(now, json.loads(line)) for line in lines]

    @property
    def steps(self):
        return [(now, line) for now, line in self.found if line["event"] == "step_done"]


class Reftc:
    """The program, and the folder in which all its runs and caches lie."""

    def __init__(self, program, work, threads):
        self.program, self.work, self.threads = program, work / "reftc", threads
        shutil.rmtree(self.work, ignore_errors=True)

    def write(self, name, text):
        path = self.work / f"{name}.reft"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def plan(self, spec):
        """The plan of the only experiment. Its caches are its own: a measured run finds none."""
        caches = {"REFTC_CACHE": str(self.work / "cache" / "plan")}
        command = [self.program, "plan", spec, "--json", "--offline"]
        planned = subprocess.run(command, capture_output=True, text=True, env=os.environ | caches)
        if planned.returncode:
            raise children.Failed(f"{spec} does not compile:\n{planned.stderr}{planned.stdout}")
        return json.loads(planned.stdout)["experiments"][0]

    def train(self, spec, name, cache=None, only_start=False):
        """Trains anew. Unless `cache` names one, every run has empty caches: it tokenises all rows, and computes constant
        states once for all of its epochs but never takes those of an earlier run."""
        runs = self.work / "runs" / name
        shutil.rmtree(runs, ignore_errors=True)
        lines = Lines(runs)
        begun = lambda: lines.read() or (only_start and bool(lines.steps))
        finished = self.run(["run", spec, "--runs", runs], name, cache or name, begun)
        (first_end, first), (last_end, _) = lines.steps[0], lines.steps[-1]
        first_begin = first_end - first["seconds"]
        return {
            "first_step": first_begin - finished.begun,
            "seconds": last_end - first_begin,
            "epochs": epochs(first_begin, lines.steps),
            "losses": [line["loss"] for _, line in lines.steps],
            "step_seconds": sum(line["seconds"] for _, line in lines.steps),
            "peak_mebibytes": finished.peak_mebibytes,
            "cpu_seconds": finished.cpu,
            "wall_seconds": finished.seconds,
        }

    def evaluate(self, spec, trained, name):
        """Measures a run that is already trained: of its spec only the evaluation is left to do."""
        runs = self.work / "runs" / name
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(trained, runs)
        finished = self.run(["run", spec, "--runs", runs], name, name)
        return self.evaluation(runs) | {
            "peak_mebibytes": finished.peak_mebibytes,
            "cpu_seconds": finished.cpu,
            "wall_seconds": finished.seconds,
        }

    def evaluation(self, runs):
        """The only eval of the only run in a folder."""
        result = next(runs.glob("*/*/result.json"))
        record = json.loads(result.read_text())["evals"][0]
        rows = (result.parent / "eval" / f"{record['name']}.jsonl").read_text().splitlines()
        answers = [row["output"] for row in map(json.loads, rows) if row.get("subject", "tuned") == "tuned"]
        return {"seconds": record["seconds"], "accuracy": record["tuned"], "answers": answers}

    def parameters(self, runs):
        """The file of parameters that the only run in a folder has saved."""
        return next(runs.glob("*/*/intervention/*.safetensors"))

    def run(self, command, name, cache, watch=lambda: False):
        caches = self.work / "cache" / cache
        if cache == name:
            shutil.rmtree(caches, ignore_errors=True)
        command = [self.program, *command, "--threads", self.threads, "--device", "cpu", "--offline", "--color", "never"]
        return children.run(command, self.work / "logs" / f"{name}.log", {"REFTC_CACHE": str(caches)}, watch)


def epochs(begin, steps):
    """Seconds of each epoch, from the end of the one before it."""
    ends = {}
    for now, line in steps:
        ends[line["epoch"]] = now
    ends = list(ends.values())
    return [end - before for before, end in zip([begin, *ends], ends)]
