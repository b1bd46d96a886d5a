-- What the user calls the session, given while it lived. Missing: nothing.
ALTER TABLE sessions ADD COLUMN name TEXT;

-- Like the other names, it is unchanged once the session has ended, unless a person is erased.
DROP TRIGGER sessions_person_unchanged;
CREATE TRIGGER sessions_person_unchanged
BEFORE UPDATE OF username, username_folded, device_name, user_agent, end_note, person_proof, name ON sessions
WHEN OLD.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM retention WHERE permit = 'person')
BEGIN SELECT RAISE(ABORT, 'an ended session is never changed'); END;
