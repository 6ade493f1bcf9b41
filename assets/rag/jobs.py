"""The job that takes one bucket through all five stages."""

import dagster as dg

from assets.rag.assets import RAG_ASSETS

INDEX_DOCUMENTS = dg.define_asset_job(
    "index_documents",
    selection=dg.AssetSelection.assets(*RAG_ASSETS),
    description="Take what waits in a bucket's letterbox into the index. With scope `all`, build the bucket anew.",
)
