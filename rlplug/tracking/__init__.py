"""Where metrics go: console, files, TensorBoard.

A tracker that a package registers (`rlplug.trackers`) is built as these are: `Tracker(run_folder,
resume_at=env_steps)`, where `resume_at` is None for a new run.
"""

from rlplug.tracking.console import Console, summary
from rlplug.tracking.jsonl import JsonlTracker
from rlplug.tracking.tensorboard import TensorBoardTracker
from rlplug.tracking.trackers import Trackers

__all__ = ["Console", "JsonlTracker", "TensorBoardTracker", "Trackers", "summary"]
