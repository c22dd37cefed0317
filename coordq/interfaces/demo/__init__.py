"""`coordq demo`: audit a source tree with a fleet, kill a worker on the way, count what happened.

One flow over a real tree (by default the standard library of the running Python): every file is
measured, complex ones are looked at closely, what is no Python has its lines counted instead, and
all of it is added up into a report. A worker with several children does it, on an embedded Redis in
a temporary folder. Halfway the child that holds most claims is killed with SIGKILL. What the last
line says is what the events say: `Ledger` reads every transition of every task, and knows which
were taken back from the dead child, which ended, and whether any ended twice.

The exit code is 0 only when every task ended, none twice. A dead letter is an end with a reason.
"""
