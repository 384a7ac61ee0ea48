"""``python -m trading.engine``"""

from __future__ import annotations

from trading.compiled import kind
from trading.core import exchange
from trading.engine.app import create_app
from trading.engine.node import EngineNode
from trading.infra.process import run
from trading.infra.settings import Settings
from trading.infra.telemetry import log, start_logging


def main() -> None:
    settings = Settings()
    start_logging(settings.node)
    log("core_loaded", core=kind(exchange))
    node = EngineNode(settings)
    run(settings, create_app(node), node.run, node.stop)


if __name__ == "__main__":
    main()
