"""Forward processes x_t = a(t) x0 + s(t) eps, and the only place where parameterisations meet."""

from diffusion_core.processes.base import Process
from diffusion_core.processes.ddpm import DDPM
from diffusion_core.processes.flow import Flow

__all__ = ["DDPM", "Flow", "Process"]
