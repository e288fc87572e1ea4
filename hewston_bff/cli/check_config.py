"""`hewston-bff check-config`: the settings, or what is wrong with them."""

from hewston_bff.cli.options import load_settings, out, warn


def check_config() -> None:
    """Say which settings hold, or which are invalid (exit status 2): what `serve` would refuse."""
    settings = load_settings()
    for name, value in settings.model_dump().items():
        out.print(f"{name.upper()}={value}", markup=False, highlight=False)
    warn(settings)
