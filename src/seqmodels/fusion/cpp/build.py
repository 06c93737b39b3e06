"""minimal for now"""
import ctypes, hashlib, subprocess, os
from pathlib import Path

class Library:
    def __init__(self, path):
        code=ctypes.CDLL(str(path)); self.run=code.run; self.run.restype=None; self.run.argtypes=[ctypes.c_void_p]
        self.scratch=code.scratch; self.scratch.restype=ctypes.c_int64; self.scratch.argtypes=[ctypes.c_int64]*2
def library(text):
    h=hashlib.sha256(text.encode()).hexdigest()[:16]; p=Path(f'/tmp/sk/{h}.so'); p.parent.mkdir(exist_ok=True)
    if not p.exists():
        c=p.with_suffix('.cpp'); c.write_text(text)
        subprocess.run(['g++','-O3','-march=native','-fno-math-errno','-fno-trapping-math','-ffp-contract=fast','-std=c++17','-fPIC','-fopenmp','-shared','-Wall','-o',str(p),str(c)],check=True)
    return Library(p)
