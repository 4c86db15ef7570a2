"""The clock and the post: RQ jobs and the sweep that runs beside them."""
