#!/usr/bin/env bash
# A tour of the whole job with curl: log in, be checked, refresh, log out, and see it all as an administrator.
#
#   vigie serve                                       # in another terminal; it prints the set-up token
#   VIGIE_SETUP_TOKEN=vgt_… examples/tour.sh          # VIGIE_URL=http://127.0.0.1:8080 is the default
#
# Needs a server without users, and curl and python3 here. Each step says `ok`; the first surprise ends the tour.
set -euo pipefail

url=${VIGIE_URL:-http://127.0.0.1:8080}
setup_token=${VIGIE_SETUP_TOKEN:?set it to the one-time token that the first start of vigie serve prints}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- the few tools ------------------------------------------------------------------------------------------------

# call METHOD PATH [--token TOKEN] [--json BODY]: leaves $status, $work/body and $work/headers.
call() {
    local method=$1 path=$2 arguments=()
    shift 2
    while (($# > 0)); do
        case $1 in
            --token) arguments+=(--header "Authorization: Bearer $2") ;;
            --json) arguments+=(--header "Content-Type: application/json" --data "$2") ;;
        esac
        shift 2
    done
    last_call="$method $path"
    : >"$work/body"
    status=$(curl --silent --show-error --request "$method" "$url$path" ${arguments[@]+"${arguments[@]}"} \
        --output "$work/body" --dump-header "$work/headers" --write-out '%{http_code}')
}

surprise() {
    printf 'surprise  %s\n  %s: %s\n  answer: %s\n' "$1" "$last_call" "$status" "$(cat "$work/body")" >&2
    exit 1
}

expect_status() {
    [[ $status == "$1" ]] || surprise "expected $1"
}

# member PATH: a member of the last answer, such as user.id or items.0.id.
member() {
    python3 -c '
import json, sys
value = json.load(open(sys.argv[1], encoding="utf-8"))
for step in sys.argv[2].split("."):
    value = value[int(step)] if isinstance(value, list) else value[step]
print(json.dumps(value) if isinstance(value, (bool, dict, list, type(None))) else value)
' "$work/body" "$1" 2>"$work/error" || surprise "no member $1"
}

expect_member() {
    local found
    found=$(member "$1")
    [[ $found == "$2" ]] || surprise "expected $1 to be $2"
}

expect_header() {
    tr -d '\r' <"$work/headers" | grep -qix "$1: $2" || surprise "expected the header $1: $2"
}

expect_text() {
    grep -qF -- "$1" "$work/body" || surprise "expected the text $1"
}

ok() {
    echo "ok  $*"
}

# A password that nobody has used: no example's password is a good one.
new_password() {
    head -c 18 /dev/urandom | base64
}

log_in() {
    call POST /auth/login --json "{\"username\": \"$1\", \"password\": \"$2\", \"device_name\": \"the tour\"}"
}

# --- the first administrator --------------------------------------------------------------------------------------

admin_password=$(new_password)
call POST /auth/setup --json "{\"token\": \"$setup_token\", \"username\": \"admin\", \"password\": \"$admin_password\"}"
expect_status 201
expect_member user.role admin
admin=$(member access_token)
ok "the one-time token made the first administrator"

call POST /auth/setup --json "{\"token\": \"$setup_token\", \"username\": \"second\", \"password\": \"$(new_password)\"}"
[[ $status == 4?? ]] || surprise "expected a refusal"
ok "the one-time token works once"

# --- a user, who chooses the password -----------------------------------------------------------------------------

call POST /admin/users --token "$admin" --json '{"username": "camille", "role": "agent"}'
expect_status 201
camille=$(member id)
ok "the administrator made the user camille"

call POST "/admin/users/$camille/reset-password" --token "$admin"
expect_status 200
reset_token=$(member token)
password=$(new_password)
call POST /auth/reset --json "{\"token\": \"$reset_token\", \"new_password\": \"$password\"}"
expect_status 204
ok "camille chose a password with a one-time token; the administrator never saw it"

# --- a session ----------------------------------------------------------------------------------------------------

log_in camille "not the password"
expect_status 401
expect_member code invalid_credentials
ok "a wrong password is refused"

log_in camille "$password"
expect_status 200
expect_member token_type Bearer
expect_member user.username camille
expect_member session.state active
token=$(member access_token)
refresh_token=$(member refresh_token)
session=$(member session.id)
ok "camille logged in: session $session"

call GET /auth/me --token "$token"
expect_status 200
expect_member user.id "$camille"
expect_member session.id "$session"
ok "the access token is accepted"

call GET /auth/verify --token "$token"
expect_status 200
expect_header X-Auth-Username camille
expect_header X-Auth-Role agent
expect_header X-Auth-Session-Id "$session"
ok "a reverse proxy learns who it is from /auth/verify"

call POST /auth/refresh --json "{\"refresh_token\": \"$refresh_token\"}"
expect_status 200
expect_member session.id "$session"
token=$(member access_token)
[[ $(member refresh_token) != "$refresh_token" ]] || surprise "expected another refresh token"
ok "a refresh gave new tokens to the same session"

call GET "/auth/sessions?state=active" --token "$token"
expect_status 200
expect_member items.0.id "$session"
expect_member items.0.current true
ok "camille sees the session in the list of her own"

call GET /admin/sessions --token "$token"
expect_status 403
expect_member code not_allowed
ok "camille may not see the sessions of others"

# --- logged out means logged out ----------------------------------------------------------------------------------

call POST /auth/logout --token "$token"
expect_status 204
call GET /auth/me --token "$token"
expect_status 401
expect_member code session_ended
call GET /auth/verify --token "$token"
expect_status 401
ok "camille logged out, and the very next request was refused"

# --- what the administrator sees ----------------------------------------------------------------------------------

call GET "/admin/sessions?user=camille&state=ended" --token "$admin"
expect_status 200
expect_member items.0.id "$session"
expect_member items.0.end_reason logout
expect_member items.0.ended_by.kind user
expect_member items.0.device_name "the tour"
ok "the administrator sees the ended session: who, when, from where, why"

call GET "/admin/attempts?username=camille&outcome=wrong_password" --token "$admin"
expect_status 200
expect_member items.0.outcome wrong_password
expect_member items.0.session_id null
ok "the failed login is kept"

call GET "/admin/audit?session_id=$session" --token "$admin"
expect_status 200
expect_member items.0.session_id "$session"
ok "the audit events of the session are there: $(member items.0.kind) is one"

call GET "/admin/sessions/export?format=csv&user=camille" --token "$admin"
expect_status 200
expect_text "$session"
expect_text logout
ok "the history is exported as CSV"

# --- an administrator ends a session ------------------------------------------------------------------------------

log_in camille "$password"
expect_status 200
token=$(member access_token)
session=$(member session.id)
call POST "/admin/sessions/$session/end" --token "$admin" --json '{"note": "end of the tour"}'
expect_status 204
call GET /auth/me --token "$token"
expect_status 401
expect_member code session_ended
call GET "/admin/sessions/$session" --token "$admin"
expect_status 200
expect_text ended_by_admin
expect_text "end of the tour"
ok "the administrator ended camille's new session, with a note, and its token is refused"

echo "The tour is over: everything was as promised."
