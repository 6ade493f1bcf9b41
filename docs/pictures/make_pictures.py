"""Take the pictures of docs/dagster.md of a system that `make up` runs and `make demo` has filled.

    python docs/pictures/make_pictures.py [--dagster http://127.0.0.1:3000] [--chromium chromium]

It re-indexes the demo's bucket first, so that there is a run to look at. Chromium takes the pictures, Pillow makes
them small.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

FOLDER = Path(__file__).parent
MOST_BYTES = 150_000
_COLOURS = 64
_RUN_SECONDS = 600
_PICTURE_SECONDS = 180

_WHERE = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_BUCKETS = """{ assetNodeOrError(assetKey: {path: ["search_index"]}) { ... on AssetNode {
  latestMaterializationByPartition { partition } } } }"""
_LAUNCH = """mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class Dagster:
    """What is asked of the web server."""

    def __init__(self, url: str) -> None:
        self.url = url
        [place] = self._asked(_WHERE)["repositoriesOrError"]["nodes"]
        self.repository, self.location = place["name"], place["location"]["name"]

    def _asked(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=120)
        return answer.raise_for_status().json()["data"]

    def bucket(self) -> str:
        """Return a bucket of which something is indexed."""
        found = self._asked(_BUCKETS)["assetNodeOrError"]["latestMaterializationByPartition"]
        partitions: list[str] = [each["partition"] for each in found if each]
        if not partitions:
            raise SystemExit("Nothing is indexed yet: run `make demo` and wait a minute for the reporter.")
        return partitions[0]

    def reindexed(self, bucket: str) -> str:
        """Index all of the bucket anew; return the run's id when it has succeeded."""
        params = {
            "selector": {
                "repositoryName": self.repository,
                "repositoryLocationName": self.location,
                "pipelineName": "index_documents",
            },
            "runConfigData": {"ops": {"documents": {"config": {"scope": "all"}}}},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": bucket}]},
        }
        launched = self._asked(_LAUNCH, params=params)["launchPipelineExecution"]
        if "run" not in launched:
            raise SystemExit(f"Dagster would not start the run: {launched}")
        run_id: str = launched["run"]["runId"]
        end = time.monotonic() + _RUN_SECONDS
        while (status := self._asked(_STATUS, id=run_id)["runOrError"]["status"]) != "SUCCESS":
            if status in {"FAILURE", "CANCELED"} or time.monotonic() > end:
                raise SystemExit(f"The run did not succeed: it is {status}.")
            time.sleep(1)
        return run_id


def take(chromium: str, url: str, picture: Path, *, size: tuple[int, int]) -> None:
    """Save the page as it looks when it has loaded, in few colours."""
    with tempfile.TemporaryDirectory() as profile:
        shot = Path(profile) / "shot.png"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000"]
        window = f"--window-size={size[0]},{size[1]}"
        command = [chromium, *options, window, f"--user-data-dir={profile}", f"--screenshot={shot}", url]
        subprocess.run(command, check=True, timeout=_PICTURE_SECONDS, capture_output=True)
        with Image.open(shot) as seen:
            seen.convert("RGB").quantize(_COLOURS).save(picture, optimize=True)
    if picture.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{picture.name} is larger than {MOST_BYTES} bytes.")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--dagster", default="http://127.0.0.1:3000")
    options.add_argument("--chromium", default="chromium")
    chosen = options.parse_args()
    dagster = Dagster(chosen.dagster)
    run_id = dagster.reindexed(dagster.bucket())
    pages = {
        "assets": (f"/locations/{dagster.repository}@{dagster.location}/asset-groups/rag/lineage", (2000, 620)),
        "checks": ("/assets/chunks?view=checks", (1280, 720)),
        "run": (f"/runs/{run_id}", (1280, 720)),
    }
    for name, (page, size) in pages.items():
        take(chosen.chromium, chosen.dagster + page, FOLDER / f"dagster-{name}.png", size=size)


if __name__ == "__main__":
    main()
