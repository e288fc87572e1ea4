"""What of the settings is no error, and yet worth a warning at the start."""

from hewston_bff.settings import Settings

_GUARDED = ("bff_bus_url", "bff_jobs_url", "bff_services", "bff_mcp_url", "bff_mcp_orders")
"""Settings of what an API key is asked for, once there are keys."""


def missing_paths(settings: Settings) -> list[str]:
    """A warning for each path that does not exist: it may appear later, so it is no error."""
    catalog, folder = settings.hewston_catalog_path, settings.hewston_data_dir
    features = settings.bff_features_file
    missing = []
    if catalog is not None and not catalog.is_file():
        missing.append(f"HEWSTON_CATALOG_PATH: no file {catalog}: run data comes without it")
    if folder is not None and not folder.is_dir():
        missing.append(f"HEWSTON_DATA_DIR: no folder {folder}: run data comes without it")
    if features is not None and not features.is_file():
        missing.append(f"BFF_FEATURES_FILE: no file {features}: the settings decide")
    return missing


def open_without_keys(settings: Settings) -> list[str]:
    """A warning if something is served that keys would guard, and there is no file of them."""
    served = [name.upper() for name in _GUARDED if getattr(settings, name, None)]
    if settings.bff_api_keys_file is not None or not served:
        return []
    return [
        f"BFF_API_KEYS_FILE: none, so what {', '.join(served)} serves is open to all programs "
        "of this machine and to pages of allowed origins, and any client can claim to be one"
    ]
