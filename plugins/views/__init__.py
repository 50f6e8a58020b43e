"""Views: pictures of data, reconstructions and codes."""
