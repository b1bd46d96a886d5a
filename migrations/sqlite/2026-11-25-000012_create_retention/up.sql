-- Members that can be removed before their row: addresses, and what names a person. While they are there, the proof is a
-- salt of 16 random bytes; once they are gone it is what was sealed in their place, 32 bytes a part. NULL: sealed in the
-- clear, before this.
ALTER TABLE sessions ADD COLUMN address_proof BLOB CHECK (length(address_proof) IN (16, 64));
ALTER TABLE sessions ADD COLUMN person_proof BLOB CHECK (length(person_proof) IN (16, 64));
ALTER TABLE attempts ADD COLUMN address_proof BLOB CHECK (length(address_proof) IN (16, 32));
ALTER TABLE attempts ADD COLUMN person_proof BLOB CHECK (length(person_proof) IN (16, 32));
ALTER TABLE audit_events ADD COLUMN address_proof BLOB CHECK (length(address_proof) IN (16, 32));
ALTER TABLE audit_events ADD COLUMN person_proof BLOB CHECK (length(person_proof) IN (16, 32));

-- Rows whose address is still whole.
CREATE INDEX sessions_whole_address ON sessions (ended_at) WHERE ended_at IS NOT NULL AND length(address_proof) = 16;
CREATE INDEX attempts_whole_address ON attempts (at) WHERE length(address_proof) = 16;
CREATE INDEX audit_events_whole_address ON audit_events (at) WHERE ip IS NOT NULL AND length(address_proof) = 16;

-- One row: which process removes what is old, and what its open transaction may remove; the triggers below let nothing
-- else through. `before` is a time; of records it is a position.
CREATE TABLE retention (
  id              INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  claimed_by      TEXT,
  claimed_until   BIGINT,
  permit          TEXT CHECK (permit IN ('sessions', 'attempts', 'events', 'addresses', 'person', 'records')),
  before          BIGINT,
  records_before  BIGINT
);
INSERT INTO retention (id) VALUES (1);

-- One row: where the chain begins since its oldest records were removed.
CREATE TABLE chain_base (
  id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size   BIGINT  NOT NULL,
  link   BLOB    NOT NULL CHECK (length(link) = 32),
  peaks  BLOB    NOT NULL CHECK (length(peaks) % 32 = 0)
);
INSERT INTO chain_base VALUES (1, 0, zeroblob(32), x'');

DROP TRIGGER audit_events_unchanged;
DROP TRIGGER audit_events_kept;
DROP TRIGGER attempts_unchanged;
DROP TRIGGER attempts_kept;
DROP TRIGGER sessions_ended_once;
DROP TRIGGER sessions_kept;
DROP TRIGGER sealed_records_kept;

CREATE TRIGGER audit_events_unchanged BEFORE UPDATE OF seq, at, kind, actor_kind, actor_id, subject_kind, subject_id,
  session_id, request_id, outcome, reason ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_addresses_unchanged BEFORE UPDATE OF ip, address_proof ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'addresses' AND OLD.at < before)
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_person_unchanged BEFORE UPDATE OF details, person_proof ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'person')
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'events' AND OLD.at < before)
BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END;

CREATE TRIGGER attempts_unchanged BEFORE UPDATE OF id, at, user_id, outcome, client_id, session_id, request_id ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempts_addresses_unchanged BEFORE UPDATE OF ip, ip_key, address_proof ON attempts
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'addresses' AND OLD.at < before)
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempts_person_unchanged BEFORE UPDATE OF username, username_folded, user_agent, person_proof ON attempts
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'person')
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempts_kept BEFORE DELETE ON attempts
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'attempts' AND OLD.at < before)
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;

CREATE TRIGGER sessions_ended_once BEFORE UPDATE OF id, user_id, role, client_id, browser, os, device_kind, methods,
  started_at, last_seen_at, expires_at, idle_expires_at, token_id, token_issued_at, token_expires_at, refresh_generation,
  refresh_seed, refresh_spent_at, ended_at, end_reason, ended_by_kind, ended_by_id ON sessions
WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
CREATE TRIGGER sessions_addresses_unchanged BEFORE UPDATE OF ip, ip_key, last_ip, address_proof ON sessions
WHEN OLD.ended_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'addresses' AND OLD.ended_at < before)
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
CREATE TRIGGER sessions_person_unchanged
BEFORE UPDATE OF username, username_folded, device_name, user_agent, end_note, person_proof ON sessions
WHEN OLD.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'person')
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
CREATE TRIGGER sessions_kept BEFORE DELETE ON sessions
WHEN OLD.ended_at IS NULL OR NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'sessions' AND OLD.ended_at < before)
BEGIN SELECT RAISE(ABORT, 'sessions are never deleted'); END;

CREATE TRIGGER sealed_records_kept BEFORE DELETE ON sealed_records
WHEN NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'records' AND OLD.position < records_before)
BEGIN SELECT RAISE(ABORT, 'sealed records are never deleted'); END;
