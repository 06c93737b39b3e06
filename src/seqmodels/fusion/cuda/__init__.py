"""Programs as CUDA C++, compiled by NVRTC; see ``docs/fusion.md``."""
