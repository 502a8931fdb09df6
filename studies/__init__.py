"""What is asked: study files, tasks, configurations and runs.

This package knows nothing of training, databases or screens; it imports numpy and pydantic only,
and pyarrow where a Parquet file is read.
"""
