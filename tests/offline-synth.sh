#!/usr/bin/env bash
# What an operator does first: `cp template.env .env`, edit, `npm run synth`. Here without a network, without credentials and with an empty
# HOME: nothing may be looked up. Also that every mistake is told and nothing is written then. Needs what `npm test` has installed.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "offline synth: FAILED: $1"; [ -f "$work/log" ] && tail -n 40 "$work/log"; exit 1; }

# A network namespace of its own has no network, where a user may make one; else every connection would have to pass a proxy that is not there.
offline=(env)
unshare -rn true 2>/dev/null && offline=(unshare -rn env)
synth() { # env file, more arguments
  mkdir -p "$work/home"
  "${offline[@]}" -i PATH="$PATH" HOME="$work/home" HTTPS_PROXY=http://127.0.0.1:9 AWS_EC2_METADATA_DISABLED=true \
    npm run --silent synth -- --env "$1" --quiet --output "$work/out" "${@:2}" >"$work/log" 2>&1
}
with() { # NAME=VALUE …: the template with other values
  cp template.env "$work/env"
  for line in "$@"; do sed -i "s|^${line%%=*}=.*|$line|" "$work/env"; done
}

changes=()
for type in rest websocket both; do
  for auth in 'true false' 'false true' 'true true'; do
    read -r key iam <<<"$auth"
    changes+=("API_GATEWAY_TYPE=$type API_GATEWAY_USE_API_KEY=$key API_GATEWAY_USE_IAM_AUTH=$iam")
  done
done
changes+=(
  "API_GATEWAY_TYPE=both ECR_REST_REPOSITORY=llm-gateway-rest:7 ECR_WEBSOCKET_REPOSITORY=llm-gateway-ws@sha256:$(printf '0%.0s' {1..64})"
  'VPC_ID=vpc-0123456789abcdef0 VPC_SUBNETS=subnet-0123456789abcdef0 VPC_SECURITY_GROUPS=sg-0123456789abcdef0'
  'ENABLE_WAF=true'
  'ALLOWED_CIDRS=192.0.2.0/24'
  'STAGE=test'
  'STAGE=prod REGION_ID=eu-central-1 DEFAULT_MODEL=eu.amazon.nova-2-lite-v1:0 ALLOWED_MODELS=eu.amazon.* ALARM_EMAIL=ops@example.com'
)

# Warnings that the operator is told are in the report too, and are no findings.
findings='JSON.parse(require("fs").readFileSync(process.argv[1])).pluginReports?.filter(({ pluginName }) => !/Annotation/.test(pluginName)) ?? []'
for change in "${changes[@]}"; do
  # shellcheck disable=SC2086
  with $change
  rm -rf "$work/out"
  synth "$work/env" || fail "npm run synth with $change"
  ls "$work"/out/*.template.json >/dev/null || fail "no template with $change"
  [ "$(node -p "($findings).length" "$work/out/validation-report.json")" = 0 ] || fail "findings with $change"
done

with API_GATEWAY_USE_API_KEY=false DEFAULT_TEMP=4096
rm -rf "$work/out"
synth "$work/env" && fail 'a wrong .env was taken'
grep -q 'DEFAULT_TEMP must be a number from 0 to 1' "$work/log" || fail 'the sentence about DEFAULT_TEMP is missing'
grep -q 'API_GATEWAY_USE_API_KEY and API_GATEWAY_USE_IAM_AUTH must not both be false' "$work/log" || fail 'the second sentence is missing'
grep -qE '^ +at ' "$work/log" && fail 'a mistake was told with a stack'

echo "offline synth: ${#changes[@]} templates without network, credentials and HOME; mistakes are told together"
