#!/usr/bin/env bash
# The contract of stores of secrets against a real server: VAULT_ADDR's, or one that is started here for as long as it takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:?usage: test-vault.sh PYTHON}

if [ -z "${VAULT_ADDR:-}" ]; then
    server=$(command -v vault || command -v bao || true)
    if [ -z "$server" ]; then
        echo "There is neither vault nor bao on PATH. Install one, or set VAULT_ADDR and VAULT_TOKEN." >&2
        exit 2
    fi
    port=${CODEXOS_TEST_VAULT_PORT:-8231}
    export VAULT_ADDR="http://127.0.0.1:$port" VAULT_TOKEN="codexos-test-$$"
    "$server" server -dev -dev-no-store-token -dev-listen-address="127.0.0.1:$port" \
        -dev-root-token-id="$VAULT_TOKEN" >/dev/null 2>&1 &
    started=$!
    trap 'kill "$started" 2>/dev/null || true' EXIT
    health="import httpx; httpx.get('$VAULT_ADDR/v1/sys/health', headers={'X-Vault-Request': 'true'}).raise_for_status()"
    for attempt in $(seq 1 60); do
        "$python" -c "$health" 2>/dev/null && break
        kill -0 "$started" 2>/dev/null || { echo "$server ended by itself; is port $port free?" >&2; exit 1; }
        [ "$attempt" -lt 60 ] || { echo "$server does not answer at $VAULT_ADDR." >&2; exit 1; }
        sleep 0.5
    done
fi
"$python" -m pytest -q tests/integration/vault/test_store_contract.py tests/integration/vault/test_elsewhere.py -k hashicorp
