"""Files that are read: artifacts, the catalog, feature flags."""
