"""The C++ executor: a program written as C++, compiled once by the system's compiler, run by threads over batch rows."""
