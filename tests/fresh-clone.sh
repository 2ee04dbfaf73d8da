#!/usr/bin/env bash
# What a new user does: clone, `npm start`, paste the curl command that it prints, call the Function URL with a signature, load
# answers and be answered from them, change a setting, press Ctrl-C. Checks that the answer arrives event by event, and that everything ends by itself. Needs only git, Node 20 or newer, npm, curl.
# Usage: bash tests/fresh-clone.sh [repository]
set -euo pipefail

repository=${1:-$(cd "$(dirname "$0")/.." && pwd)}
start_limit=180 answer_limit=60 stop_limit=15 # seconds
work=$(mktemp -d)
log=$work/npm-start.log
touch "$log"
npm_pid=''

cleanup() {
  if [ -n "$npm_pid" ]; then
    kill -KILL -- "-$npm_pid" || true
    wait "$npm_pid" || true
  fi 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "fresh clone: FAILED: $1"
  echo "--- the last lines of npm start:"
  tail -n 40 "$log" 2>/dev/null || true
  exit 1
}

# The environment of somebody who has set nothing: what npm needs to reach its registry, and ports that are free.
clean_environment=("HOME=$HOME" "PATH=$(tr : '\n' <<<"$PATH" | grep -v 'node_modules/.bin$' | paste -sd : -)")
while IFS='=' read -r name _; do
  clean_environment+=("$name=${!name}")
done < <(env | grep -iE '^(npm_config_(registry|userconfig|globalconfig|cache|cafile|proxy|https_proxy|noproxy)|node_extra_ca_certs|https?_proxy|no_proxy)=')
read -r PORT FUNCTION_URL_PORT AWS_PORT < <(node -e '
  const servers = [1, 2, 3].map(() => require("node:net").createServer().listen(0, "127.0.0.1"));
  setTimeout(() => {
    console.log(servers.map((server) => server.address().port).join(" "));
    servers.forEach((server) => server.close());
  }, 100);')
clean_environment+=("PORT=$PORT" "FUNCTION_URL_PORT=$FUNCTION_URL_PORT" "AWS_PORT=$AWS_PORT")

git clone --quiet "$repository" "$work/clone"
cd "$work/clone"

# Job control gives npm a process group of its own, which Ctrl-C reaches as a terminal would deliver it.
set -m
env -i "${clean_environment[@]}" npm start >"$log" 2>&1 </dev/null &
npm_pid=$!
set +m

SECONDS=0
until curl_line=$(grep -m 1 -E '^ {0,2}curl ' "$log"); do
  kill -0 "$npm_pid" 2>/dev/null || fail 'npm start ended by itself'
  [ "$SECONDS" -lt "$start_limit" ] || fail "no curl command was printed within $start_limit s"
  sleep 0.2
done
ready_after=$SECONDS

# Notes when each line arrives, and judges the whole; a lump, however long, falls into one or two buckets.
judge='
  const limit = setTimeout(() => finish(`no end within ${process.argv[1]} s`), process.argv[1] * 1000);
  const deltas = [];
  let last = "none";
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    if (line.startsWith("event:")) last = line.slice("event:".length).trim();
    if (/^event: ?delta$/.test(line)) deltas.push(performance.now());
  }).on("close", () => finish());
  function finish(trouble) {
    clearTimeout(limit);
    const buckets = new Set(deltas.map((at) => Math.floor(at / 100))).size;
    const seconds = (((deltas.at(-1) ?? 0) - (deltas[0] ?? 0)) / 1000).toFixed(1);
    console.log(`${deltas.length} deltas over ${seconds} s in ${buckets} buckets of 100 ms, last event ${last}`);
    if (trouble) console.log(trouble);
    process.exit(trouble || deltas.length < 20 || buckets < 5 || last !== "done" ? 1 : 0);
  }'
answer=$(node -e "$judge" "$answer_limit" < <(env -i "${clean_environment[@]}" bash -c "$curl_line" 2>"$work/curl.log")) ||
  fail "the answer did not stream to its end: $answer $(cat "$work/curl.log")"

in_clone() { env -i "${clean_environment[@]}" "$@" 2>&1; }
in_clone npm run --silent call -- 'ECHO signed and streamed' | grep -qx 'signed and streamed' ||
  fail 'npm run call did not print the answer'
in_clone npm run --silent call -- --door websocket 'ECHO over a socket' | grep -qx 'over a socket' ||
  fail 'npm run call -- --door websocket did not print the answer'

IFS== read -r key_id secret <.local/iam-key
signed_curl() { # user, service, date or nothing
  curl -s -o "$work/signed" -w '%{http_code}' "http://127.0.0.1:$FUNCTION_URL_PORT/v1/chat" --user "$1" \
    --aws-sigv4 "aws:amz:us-east-1:$2" -H 'content-type: application/json' -d '{"prompt":"ECHO Hi"}' ${3:+-H "x-amz-date: $3"}
}
[ "$(signed_curl "$key_id:$secret" lambda)" = 200 ] || fail "curl --aws-sigv4 was refused: $(cat "$work/signed")"
[ "$(signed_curl "$key_id:wrong" lambda)" = 403 ] || fail 'a wrong secret was accepted'
[ "$(signed_curl "$key_id:$secret" execute-api)" = 403 ] || fail 'a signature for another service was accepted'
[ "$(signed_curl "$key_id:$secret" lambda 20200101T000000Z)" = 403 ] || fail 'a signature of 2020 was accepted'

completion=$(curl -s "http://127.0.0.1:$PORT/v1/chat/completions" -H "authorization: Bearer $(<.local/api-key)" \
  -H 'content-type: application/json' -d '{"messages":[{"role":"user","content":"ECHO Hi"}],"stream":true}')
[[ $completion == *'"content":"Hi"'*'"finish_reason":"stop"'*$'\n''data: [DONE]' ]] ||
  fail "an OpenAI client would not have read this: $completion"

in_clone npm run --silent bulk-upload -- samples/network-outages.json --local --quiet | grep -qE '^[0-9]+ written, 0 rejected$' ||
  fail 'npm run bulk-upload did not load the sample'
ask() { curl -s "http://127.0.0.1:$PORT/v1/chat" -H "x-api-key: $(<.local/api-key)" -H 'content-type: application/json' -d "$1"; }
answer_of() { node -pe 'JSON.parse(require("node:fs").readFileSync(0))[process.argv[1]]' "$1"; }
curated=$(ask '{"prompt":"  what is a  faraday cage "}')
[ "$(answer_of cached <<<"$curated")" = curated ] || fail "the loaded answer was not given: $curated"
follow_up=$(ask "{\"prompt\":\"And on a mast?\",\"chat_id\":\"$(answer_of chat_id <<<"$curated")\"}")
[[ $(answer_of completion <<<"$follow_up") == *'1 turn'*'faraday'* ]] || fail "the follow-up does not know the first turn: $follow_up"

in_clone npm run --silent settings -- set default-max-tokens 4 >/dev/null || fail 'npm run settings could not set'
SECONDS=0
until in_clone npm run --silent call -- 'ECHO one two three four five six' | grep -qx 'one two three four'; do
  [ "$SECONDS" -lt 15 ] || fail 'a setting did not take effect within 15 s'
done
retuned_after=$SECONDS

SECONDS=0
kill -INT -- "-$npm_pid"
is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
while kill -0 "$npm_pid" 2>/dev/null || is_listening; do
  [ "$SECONDS" -lt "$stop_limit" ] || fail "still running $stop_limit s after Ctrl-C"
  sleep 0.1
done

echo "fresh clone: ready after $ready_after s; $answer; retuned within $((retuned_after + 1)) s; stopped within $((SECONDS + 1)) s of Ctrl-C"
