"""Runs as processes of the code server, as Dagster launches them by itself, and a word on whether each still lives."""

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class HealthCheckedRunLauncher(DefaultRunLauncher):
    """Whom the code server does not know is dead: a run is its child, and is ended with it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]  # Dagster's own
        if client is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "It was never handed to a code server.")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            # The code server is being restarted; it is asked again at the next look.
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Its code server does not answer.")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The code server has no process for it.")
