-- How the client of a login authenticated. Missing: it did not, and `client_id` is what somebody named.
ALTER TABLE sessions ADD COLUMN client_authentication TEXT CHECK (client_authentication IN ('client_secret_basic'));
ALTER TABLE attempts ADD COLUMN client_authentication TEXT CHECK (client_authentication IN ('client_secret_basic'));

-- It is as unchanging as the rest.
DROP TRIGGER attempts_unchanged;
DROP TRIGGER sessions_ended_once;
CREATE TRIGGER attempts_unchanged BEFORE UPDATE OF id, at, user_id, outcome, client_id, session_id, request_id,
  client_authentication ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER sessions_ended_once BEFORE UPDATE OF id, user_id, role, client_id, browser, os, device_kind, methods,
  started_at, last_seen_at, expires_at, idle_expires_at, token_id, token_issued_at, token_expires_at, refresh_generation,
  refresh_seed, refresh_spent_at, ended_at, end_reason, ended_by_kind, ended_by_id, client_authentication ON sessions
WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
