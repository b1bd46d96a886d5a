DROP TRIGGER sessions_person_unchanged;
ALTER TABLE sessions DROP COLUMN name;
CREATE TRIGGER sessions_person_unchanged
BEFORE UPDATE OF username, username_folded, device_name, user_agent, end_note, person_proof ON sessions
WHEN OLD.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'person')
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
