"""Environments stepped by processes of their own, on this machine or on a Ray cluster.

    Resolved ─► WorkerPlan ─► Worker: policy + environments + LocalCollector      (worker.py)
                                ▲ orders, weights        │ rollouts, faults
    SyncCollector | AsyncCollector ◄──── WorkerPool ◄────┘                        (pool.py)
                                          └── engine: the one place that calls Ray (engine.py)

Both collectors satisfy `protocols.Collector`, so that a trainer never knows whether it has one of
them. This package alone imports Ray, and imports it only when a run uses it.
"""
