DROP TRIGGER sealed_records_kept;
DROP TRIGGER sessions_kept;
DROP TRIGGER sessions_person_unchanged;
DROP TRIGGER sessions_addresses_unchanged;
DROP TRIGGER sessions_ended_once;
DROP TRIGGER attempts_kept;
DROP TRIGGER attempts_person_unchanged;
DROP TRIGGER attempts_addresses_unchanged;
DROP TRIGGER attempts_unchanged;
DROP TRIGGER audit_events_kept;
DROP TRIGGER audit_events_person_unchanged;
DROP TRIGGER audit_events_addresses_unchanged;
DROP TRIGGER audit_events_unchanged;
DROP TABLE chain_base;
DROP TABLE retention;
DROP INDEX audit_events_whole_address;
DROP INDEX attempts_whole_address;
DROP INDEX sessions_whole_address;
ALTER TABLE audit_events DROP COLUMN person_proof;
ALTER TABLE audit_events DROP COLUMN address_proof;
ALTER TABLE attempts DROP COLUMN person_proof;
ALTER TABLE attempts DROP COLUMN address_proof;
ALTER TABLE sessions DROP COLUMN person_proof;
ALTER TABLE sessions DROP COLUMN address_proof;
CREATE TRIGGER audit_events_unchanged BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END;
CREATE TRIGGER attempts_unchanged BEFORE UPDATE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempts_kept BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;
CREATE TRIGGER sessions_ended_once BEFORE UPDATE ON sessions WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
CREATE TRIGGER sessions_kept BEFORE DELETE ON sessions
BEGIN SELECT RAISE(ABORT, 'sessions are never deleted'); END;
CREATE TRIGGER sealed_records_kept BEFORE DELETE ON sealed_records
BEGIN SELECT RAISE(ABORT, 'sealed records are never deleted'); END;
