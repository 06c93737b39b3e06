"""The C++ executor: a program written as C++, compiled once, run by threads over the rows of the batch."""
