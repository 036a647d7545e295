"""`accelerate launch --cpu --num_processes N`: its launcher starts one process on a CPU unless it finds MPI. Here the N are started.

What it leaves in the environment is a rendezvous (MASTER_ADDR) and no rank. The process that finds itself so replaces itself by torchrun with
the number that stands on the launcher's command line; accelerate then takes gloo.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from recipes.terminal import remark


def spread() -> None:
    """Go on as several processes where accelerate's launcher was asked for them and started one."""
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1")
    if not on_cpu or "MASTER_ADDR" not in os.environ or "RANK" in os.environ or "WORLD_SIZE" in os.environ:
        return None
    import psutil

    parent = psutil.Process().parent()
    count = asked_for(parent.cmdline() if parent is not None else [])
    if count is None:
        remark(
            "accelerate asked for several CPU processes and started one; start them with "
            "`torchrun --nproc_per_node N -m recipes.diffusion_pref ...`"
        )
        return None
    if count == 1:
        return None
    sys.stdout.flush()
    sys.stderr.flush()
    words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        str(count),
        *sys.orig_argv[1:],
    ]
    os.execv(sys.executable, [sys.executable, *words])


def asked_for(words: Sequence[str]) -> int | None:
    """The number of processes on a launcher's command line; None where it is not there (it came from a configuration file)."""
    for word, value in zip(words, [*words[1:], ""], strict=True):
        found = re.fullmatch(r"--num[_-]processes(?:=(\d+))?", word)
        if found and (found[1] or value).isdigit():
            return int(found[1] or value)
    return None
