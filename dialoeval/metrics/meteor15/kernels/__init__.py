"""The loops that numba compiles (see `machine_code`): these modules import numba, and are imported only to compile."""
