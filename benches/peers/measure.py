"""Measures one workload on both sides in turn, so that what else the machine does meets both."""

from dataclasses import replace

import workloads
from children import note


class Comparison:
    """Both programs, the data, and how often each is measured."""

    def __init__(self, reftc, pyreft, model, data, repeats):
        self.reftc, self.pyreft, self.model, self.data, self.repeats = reftc, pyreft, model, data, repeats
        self.trained = {}

    def measure(self, workload):
        """What both sides took, as numbers only."""
        if workload.name == "E":
            return self.start(workload)
        if workload.name == "D":
            return self.evaluate(workload)
        if workload.test_rows:
            return self.learn(workload)
        return self.train(workload)

    def train(self, workload):
        spec = self.spec(workload)
        measured = self.in_turn(
            workload.name,
            lambda name: self.reftc.train(spec, name),
            lambda name: self.pyreft.train(self.job(workload), name),
        )
        self.trained[self.recipe(workload)] = self.reftc.work / "runs" / f"{workload.name}-1"
        return {"plan": self.reftc.plan(spec), **measured}

    def evaluate(self, workload):
        trained = self.training_of(workload)
        spec = self.spec(workload)
        parameters = self.reftc.parameters(trained)
        measured = self.in_turn(
            workload.name,
            lambda name: self.reftc.evaluate(spec, trained, name),
            lambda name: self.pyreft.evaluate(self.job(workload), name, parameters),
        )
        return {"plan": self.reftc.plan(spec), **measured}

    def start(self, workload):
        spec = self.spec(workload)
        ours, theirs = self.repeats
        measured = self.in_turn(
            workload.name,
            lambda name: self.reftc.train(spec, name, only_start=True),
            lambda name: self.pyreft.train(self.job(workload), name),
            (ours + 1, theirs + 1),
        )
        note("  reftc, again, with what earlier runs left in its caches")
        again = [self.reftc.train(spec, "E-again", cache="E-1", only_start=True) for _ in range(ours)]
        return {**measured, "again": again}

    def learn(self, workload):
        """Quality: each side trains and evaluates its own parameters, once."""
        spec = self.spec(workload)

        def ours(name):
            training = self.reftc.train(spec, name)
            return {"losses": training["losses"]} | self.reftc.evaluation(self.reftc.work / "runs" / name)

        theirs = lambda name: self.pyreft.train_and_evaluate(self.job(workload), name)
        return self.in_turn(workload.name, ours, theirs, (1, 1))

    def in_turn(self, name, ours, theirs, repeats=None):
        """One side and the other, as often as each is to be measured, beginning with reftc."""
        counts = dict(zip(("reftc", "pyreft"), repeats or self.repeats))
        sides = {"reftc": ours, "pyreft": theirs}
        found = {side: [] for side in sides}
        for repeat in range(1, max(counts.values()) + 1):
            for side in sides:
                if repeat <= counts[side]:
                    note(f"  {side}, {repeat} of {counts[side]}")
                    found[side].append(sides[side](f"{name}-{repeat}"))
        return found

    def training_of(self, workload):
        """The folder of runs in which reftc has trained this recipe."""
        recipe = self.recipe(workload)
        if recipe not in self.trained:
            note("  reftc trains what will be evaluated")
            name = f"{workload.name}-trained"
            self.reftc.train(self.reftc.write(name, workloads.spec(recipe, self.model, self.data)), name)
            self.trained[recipe] = self.reftc.work / "runs" / name
        return self.trained[recipe]

    def recipe(self, workload):
        """The workload as far as it decides what is trained."""
        return replace(workload, name="recipe", title="", test_rows=0, pyreft_steps=None)

    def spec(self, workload):
        return self.reftc.write(workload.name, workloads.spec(workload, self.model, self.data))

    def job(self, workload):
        return workloads.job(workload, self.data)

