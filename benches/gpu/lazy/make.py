"""Makes the libraries that a CUDA build links in place of CUDA's own: see lazy.c."""

import json
import os
import re
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
# The module of cudarc, the library's name for the linker and for the loader, and what stands in for a function that gives a status.
LIBRARIES = [
    ("driver", "cuda", "libcuda.so.1", "no_driver"),
    ("cublas", "cublas", "libcublas.so.{major}", "no_cublas"),
    ("cublaslt", "cublasLt", "libcublasLt.so.{major}", "no_cublas"),
    ("curand", "curand", "libcurand.so.10", "no_curand"),
    ("nvrtc", "nvrtc", "libnvrtc.so.{major}", "no_nvrtc"),
]
DECLARATION = re.compile(r"^\s+fn ((?:cu|nvrtc)\w+)\(.*\)(?: -> (.+))?;$", re.MULTILINE)


def functions(cudarc, major):
    """The lines of functions.inc: all that cudarc declares, for any version of CUDA."""
    lines = []
    for module, _, file, status in LIBRARIES:
        found = dict(DECLARATION.findall((cudarc / "src" / module / "sys" / "mod.rs").read_text()))
        if len(found) < 10:
            raise SystemExit(f"{cudarc}: no functions of {file} were found; {__file__} must follow how cudarc declares them")
        for name, gives in sorted(found.items()):
            answer = "no_text" if "c_char" in gives else "no_number" if gives in ("", "usize") else status
            lines.append(f'FUNCTION({len(lines)}, {name}, "{file.format(major=major)}", {answer})\n')
    return lines


def make(folder, cudarc, major, cudart):
    """Writes `libcuda.so` and the others into `folder`, and `libcudart.so`, which is the static one at `cudart`.
    Returns how many functions there are."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = functions(cudarc, major)
    (folder / "functions.inc").write_text("".join(lines))
    compiler = os.environ.get("CC", "cc")
    objects = []
    for source in ("lazy.c", "functions.S"):
        objects.append(folder / Path(source).with_suffix(".o"))
        command = [compiler, "-c", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Werror", f"-I{folder}", "-o", objects[-1], SOURCES / source]
        subprocess.run(command, check=True)
    archive = folder / "libreftc_cuda_lazy.a"
    archive.unlink(missing_ok=True)
    subprocess.run(["ar", "crsD", archive, *objects], check=True)
    for _, name, _, _ in LIBRARIES:
        # A linker that is told to take libcuda.so reads this and takes the archive.
        script(folder / f"lib{name}.so", f'INPUT("{archive}" -ldl)\n')
    script(folder / "libcudart.so", f'INPUT("{cudart}" -lrt -ldl -lpthread)\n')
    return len(lines)


def script(path, text):
    path.unlink(missing_ok=True)
    path.write_text(text)


def cudarc():
    """The sources of cudarc that Cargo.lock names."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", "cuda"]
    packages = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    return next(Path(package["manifest_path"]).parent for package in packages if package["name"] == "cudarc")
