"""The components that zoo ships, discovered as a third party's are."""
