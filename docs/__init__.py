"""The pages of the documentation that were written by hand; `zoo docs` adds those of what is installed."""
