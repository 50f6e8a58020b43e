"""The client of a model hub: addresses, downloads, uploads and their errors."""
