"""Thin faces over the client: people and other programs come in here."""
