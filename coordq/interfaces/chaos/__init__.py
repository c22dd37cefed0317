"""Faults on purpose: a live fleet, a seeded schedule of failures, and a checker of its history.

`coordq chaos` and `scripts/soak.py` run this. A *stage* is a Redis of its own, workers, supervisors
and producers, each process with a *wire* of its own to Redis. A *plan*, drawn from a seed, says
which faults come when and to whom. While everything breaks, producers write down what was
acknowledged, handlers what they ran, and a tailer for each shard every event. Of these journals,
and of what is left in Redis in the end, a *history* is made, and the *checker* says whether it is
one that coordq allows. `tests/chaos/README.md` tells how to run it and how to replay a seed.
"""
