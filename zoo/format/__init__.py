"""The format of share files, without torch: header, metadata, digest, migrations."""
