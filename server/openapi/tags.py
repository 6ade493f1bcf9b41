"""What each group of operations is about, as the published document says it."""

TAGS = {
    "health": "Whether the process lives, and whether what it needs answers.",
    "openapi": "This document.",
    "versions": "Which versions of the API answer, and until when.",
    "auth": "Accounts, access and refresh tokens, and the keys that tokens are checked with.",
    "mfa": "Second factors of the user who asks.",
    "api-keys": "Keys for programs, each with scopes of its own.",
    "tenants": "Tenants, their members, and the members' roles.",
    "audit": "Who did what in the tenant one acts in.",
    "rag": "Documents, the jobs that index them, and questions about them.",
    "agents": "Flows, their executions, and what becomes of these.",
    "webhooks": "Endpoints that are told of events, and what became of telling them.",
    "events": "What happened in the tenant, in its order.",
    "vault": "Secrets: stored, given out, followed through their versions, and destroyed.",
}
