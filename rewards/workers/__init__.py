"""Where generation and scoring run. Every worker has `run(work, timeout_s)`."""
