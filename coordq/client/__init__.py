"""The hall: one object with four doors, sync and async."""
