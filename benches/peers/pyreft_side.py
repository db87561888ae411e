"""Runs pyreft on a workload, through `pyreft_run.py`, and reads what it wrote."""

import json
import shutil
from pathlib import Path

import children

RUNNER = Path(__file__).resolve().parent / "pyreft_run.py"


class Pyreft:
    """The interpreter that has pyreft, the model's folder, and the folder for jobs and results."""

    def __init__(self, interpreter, model, work, threads):
        self.interpreter, self.model, self.work, self.threads = interpreter, model, work / "pyreft", threads
        shutil.rmtree(self.work, ignore_errors=True)

    def train(self, job, name):
        """Trains in a process of its own. Seconds run from the begin of the first step to the end of the last one."""
        finished, result = self.run(job, name, ["train"])
        training = result["training"]
        begins, ends, shapes = training["begins"], training["ends"], training["shapes"]
        done = len(ends)
        return self.took(finished) | {
            "first_step": begins[0] - finished.begun,
            "seconds": ends[-1] - begins[0] if done else 0.0,
            "steps": done,
            "rows": sum(shape["rows"] for shape in shapes),
            "tokens": sum(shape["tokens"] for shape in shapes),
            "shapes": [(shape["rows"], shape["length"]) for shape in shapes],
            "step_seconds": [end - begin for begin, end in zip(begins, ends)],
            "losses": training["losses"][:done],
        }

    def evaluate(self, job, name, parameters):
        """Evaluates, in a process of its own, parameters that reftc saved."""
        finished, result = self.run(job | {"parameters": str(parameters)}, name, ["evaluate"])
        return self.took(finished) | result["evaluation"]

    def train_and_evaluate(self, job, name):
        """Both in one process: losses and accuracy, of its own parameters."""
        _, result = self.run(job, name, ["train", "evaluate"])
        return {"losses": result["training"]["losses"], "accuracy": result["evaluation"]["accuracy"]}

    def matrix_peak(self):
        """GFLOP/s of torch's product of matrices."""
        _, result = self.run({}, "matrix_peak", ["matrix_peak"])
        return result["matrix_peak"]["gflops"]

    def run(self, job, name, tasks):
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        job = job | {"tasks": tasks, "model": str(self.model), "threads": self.threads}
        (folder / "job.json").write_text(json.dumps(job, indent=1))
        command = [self.interpreter, RUNNER, folder / "job.json", folder / "result.json"]
        # By default, threads of OpenMP wait by spinning, which costs several times the CPU where cores are shared.
        waiting = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(self.threads)}
        finished = children.run(command, folder / "log.txt", waiting)
        return finished, json.loads((folder / "result.json").read_text())

    def took(self, finished):
        return {
            "peak_mebibytes": finished.peak_mebibytes,
            "cpu_seconds": finished.cpu,
            "wall_seconds": finished.seconds,
        }
