"""From a cell's ``step`` to programs: traced under autograd, lowered to values, forward and backward."""
