"""What several families share: contexts, events, logistics, precision."""
