"""What every stage stands on: settings, run folders, files, checkpoints, random streams, metrics and errors."""
