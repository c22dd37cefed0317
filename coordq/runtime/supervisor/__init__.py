"""The supervisor: several may run, one leads, and what it does nobody depends on to be correct."""
