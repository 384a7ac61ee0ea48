"""``python -m trading.engine``"""

from __future__ import annotations

from trading.engine.app import create_app
from trading.engine.node import EngineNode
from trading.infra.process import run
from trading.infra.settings import Settings
from trading.infra.telemetry import start_logging


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    node = EngineNode(settings)
    run(settings, create_app(node), node.run, node.stop)


if __name__ == "__main__":
    main()
