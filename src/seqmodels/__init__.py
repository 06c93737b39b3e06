"""Write a recurrent cell as its equations; train it on any sequence task at the speed of a fused kernel."""

__version__ = "0.1.0"
