"""Messages between agents: channels, groups of readers, and what they are promised."""
