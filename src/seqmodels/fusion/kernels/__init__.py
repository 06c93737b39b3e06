"""What executors that compile kernels share.

* ``build_failed.py``: the exception that says why there is no kernel;
* ``folder.py``: the folder that kernels are kept in, and who may write there;
* ``store.py``: building a kernel once, in this process and on disk.
"""
