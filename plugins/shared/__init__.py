"""Parts shared by several families: contexts, events, logistics, precision."""
