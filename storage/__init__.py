"""What is remembered: runs, curves and trials in one SQL database."""
