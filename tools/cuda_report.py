#!/usr/bin/env python3
"""Says what nvcc made of the CUDA kernels, for each architecture, without a GPU.

    python3 tools/cuda_report.py [--arch 80,90] [--file gemm_w8a8] [--nvdisasm PATH]

One row a kernel: registers, bytes spilled, stack, shared memory, the share of an SM's warps that fit
at once, and how often the instructions occur that matter: matrix products (HMMA, IMMA, QMMA), global
loads of 16 bytes, local memory. Exits with 1 when a hot kernel spills or lacks its matrix
instruction. nvcc is taken from PATH or /usr/local/cuda; nvdisasm too, or else from PyPI's
nvidia-cuda-nvdisasm, installed into a folder that goes afterwards."""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Kernels that a model's time goes into, by name and template arguments: threads of a block, dynamic
# shared bytes, and the matrix instruction that they must have.
HOT = {
    "code_products": (128, "HMMA"),
    "whole_products": (128, "IMMA"),
    "products": (256, None),
    "attend": (128, None),
    "norm_row": (256, None),
}
# Of an SM: registers, shared bytes, warps (CUDA C++ Programming Guide, table of compute capabilities).
SM = {"80": (65536, 164 << 10, 64), "86": (65536, 100 << 10, 48), "89": (65536, 100 << 10, 48),
      "90": (65536, 228 << 10, 64), "100": (65536, 228 << 10, 64), "120": (65536, 100 << 10, 48)}
COUNTED = {"HMMA": r"\bHMMA\.", "IMMA": r"\bIMMA\.", "QMMA": r"\bQG?MMA\.",
           "ld16": r"\b(?:LDG|LDGSTS)\.[A-Z0-9.]*128", "local": r"\b(?:LDL|STL)\b"}


def find(name):
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


def install_nvdisasm(folder):
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder,
                    "nvidia-cuda-nvdisasm"], check=True)
    path = glob.glob(os.path.join(folder, "nvidia", "*", "bin", "nvdisasm"))[0]
    os.chmod(path, 0o755)
    return path


def demangled(name):
    """The kernel's name and template arguments."""
    found = re.search(r"\d+(?:_GLOBAL__N_\S*?_cu_[0-9a-f]{8})(\d+)(\w+)", name)
    if not found:
        return name
    n = int(found[1])
    rest = found[2]
    # Digits of the length may have been taken for the hash's; the name follows its length.
    kernel, args = rest[:n], rest[n:]
    numbers = re.match(r"I((?:L[a-z]\d+E)+)E", args)
    return kernel + ("<" + ", ".join(re.findall(r"L[a-z](\d+)E", numbers[1])) + ">" if numbers else "")


def compile_one(job):
    nvcc, nvdisasm, source, arch, folder = job
    cubin = os.path.join(folder, f"{os.path.basename(source)}.{arch}.cubin")
    log = subprocess.run([nvcc, "-std=c++17", "-O3", "-fmad=false", f"-arch=sm_{arch}", "-cubin",
                          "-Xptxas", "-v", "-I" + ROOT, source, "-o", cubin],
                         check=True, capture_output=True, text=True).stderr
    kernels = {}
    for part in re.split(r"Compiling entry function '", log)[1:]:
        name = part.split("'")[0]
        number = lambda pattern: int((re.search(pattern, part) or [0, 0])[1])
        kernels[name] = {"registers": number(r"Used (\d+) registers"),
                         "spilled": number(r"(\d+) bytes spill stores"),
                         "stack": number(r"(\d+) bytes stack frame"),
                         "shared": number(r"(\d+) bytes smem")}
    code = subprocess.run([nvdisasm, "-c", cubin], check=True, capture_output=True, text=True).stdout
    for part in re.split(r"^\.text\.", code, flags=re.M)[1:]:
        name = part.split(":")[0]
        if name in kernels:
            kernels[name].update({w: len(re.findall(p, part)) for w, p in COUNTED.items()})
    return source, arch, kernels


def occupancy(arch, kernel, threads):
    registers, shared, warps = SM[arch]
    per_warp = -(-kernel["registers"] * 32 // 256) * 256
    blocks = min(registers // per_warp // (threads // 32), warps // (threads // 32),
                 shared // (kernel["shared"] + 1024), 32)
    return blocks * (threads // 32) / warps


def report(source, arch, kernels):
    faults = []
    for name, k in sorted(kernels.items(), key=lambda item: demangled(item[0])):
        short = demangled(name)
        threads, wanted = HOT.get(short.split("<")[0], (0, None))
        fits = f"{occupancy(arch, k, threads):5.0%}" if threads else "     "
        print(f"{os.path.basename(source):16} {short:24} {arch:>4} {k['registers']:5} {k['spilled']:6} "
              f"{k['stack']:6} {k['shared']:7} {fits} " +
              " ".join(f"{k.get(w, 0):5}" for w in COUNTED))
        if threads and k["spilled"]:
            faults.append(f"{short} spills {k['spilled']} bytes on sm_{arch}")
        if wanted and not k.get(wanted):
            faults.append(f"{short} has no {wanted} on sm_{arch}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--arch", default="80,86,89,90,100,120")
    parser.add_argument("--file", default="", help="only files whose name holds this")
    parser.add_argument("--nvdisasm")
    options = parser.parse_args()
    sources = sorted(glob.glob(os.path.join(ROOT, "kernels", "cuda", f"*{options.file}*.cu")))
    nvcc = find("nvcc") or sys.exit("cuda_report: there is no nvcc in PATH or /usr/local/cuda")
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        nvdisasm = options.nvdisasm or find("nvdisasm") or install_nvdisasm(folder)
        jobs = [(nvcc, nvdisasm, s, a, folder) for s in sources
                if not s.endswith("table.cu") for a in options.arch.split(",")]
        print(f"{'file':16} {'kernel':24} {'arch':>4} {'regs':>5} {'spill':>6} {'stack':>6} "
              f"{'shared':>7} {'warps':>5} " + " ".join(f"{w:>5}" for w in COUNTED))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in pool.map(compile_one, jobs):
                faults += report(*done)
    for fault in faults:
        print("cuda_report:", fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
