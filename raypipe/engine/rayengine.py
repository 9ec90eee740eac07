"""`RayEngine`: passes on pools of Ray actors."""

from __future__ import annotations

from raypipe.config import EngineConfig
from raypipe.engine.layout import Layout, lay_out
from raypipe.engine.rayframe import is_live
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.engine.session import Session, close_session, open_session, session_lock
from raypipe.engine.stream import Stream
from raypipe.stage import Plan


class RayEngine(Engine):
    """Pools of Ray actors, one for each group of fused stages."""

    name = "ray"

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session, opened when first needed, and again where it or its Ray was closed."""
        with session_lock:
            if self._session is None or not is_live(self._session):
                self._session = open_session(self.config.address)
                if not is_live(self._session):
                    close_session()
                    self._session = open_session(self.config.address)
            return self._session

    def layout(self, plan: Plan) -> Layout:
        """See `Engine.layout`."""
        session = self.session
        return lay_out(plan, self.config, session.cpus, own_cluster=session.private)

    def run(self, work: Pass) -> Outcome:
        """See `Engine.run`."""
        stream = Stream(self, work)
        try:
            return stream.run()
        finally:
            # It is part of reference cycles; blocks that it refers to would lie in the store until Python finds them.
            vars(stream).clear()

    def describe(self) -> str:
        """See `Engine.describe`."""
        return self.session.describe()

    def release(self) -> None:
        """See `Engine.release`."""
        if self._session is not None and not self._session.private:
            with session_lock:
                self._session.let_go()
