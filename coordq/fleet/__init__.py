"""The fleet: who leads it, who belongs to it, who can be reached."""
