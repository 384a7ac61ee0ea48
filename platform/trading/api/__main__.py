"""``python -m trading.api``"""

from __future__ import annotations

from trading.api.app import create_app
from trading.infra.process import run
from trading.infra.settings import Settings
from trading.infra.telemetry import start_logging


def main() -> None:
    settings = Settings()
    start_logging(settings.node, settings.log_level)
    app = create_app(settings)
    run(settings, app, turn_away=app.state.turn_away)


if __name__ == "__main__":
    main()
