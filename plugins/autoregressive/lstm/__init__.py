"""Row and diagonal LSTMs."""
