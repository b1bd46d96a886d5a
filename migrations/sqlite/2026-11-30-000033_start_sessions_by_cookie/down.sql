DROP TRIGGER sessions_ended_once;
ALTER TABLE sessions DROP COLUMN credential;
CREATE TRIGGER sessions_ended_once BEFORE UPDATE OF id, user_id, role, client_id, browser, os, device_kind, methods,
  started_at, last_seen_at, expires_at, idle_expires_at, token_id, token_issued_at, token_expires_at, refresh_generation,
  refresh_seed, refresh_spent_at, ended_at, end_reason, ended_by_kind, ended_by_id, client_authentication ON sessions
WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
