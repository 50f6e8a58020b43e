"""Files that survive a crash: atomic writes, locks, a cache, a background writer."""
