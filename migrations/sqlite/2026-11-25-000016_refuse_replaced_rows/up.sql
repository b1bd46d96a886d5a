-- A conflict that REPLACE resolves takes the old row away without a DELETE trigger, so that the triggers of 000009 and
-- 000012 do not see it. A key of the history is therefore never taken twice, and none is changed. A table whose key is
-- no INTEGER has a second one, its `rowid`; where an INSERT names none, NEW.rowid is -1.
CREATE TRIGGER audit_events_not_replaced BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit events are never replaced'); END;
CREATE TRIGGER attempts_not_replaced BEFORE INSERT ON attempts
WHEN EXISTS (SELECT 1 FROM attempts WHERE id = NEW.id OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'attempts are never replaced'); END;
CREATE TRIGGER sessions_not_replaced BEFORE INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'sessions are never replaced'); END;
CREATE TRIGGER sealed_records_not_replaced BEFORE INSERT ON sealed_records
WHEN EXISTS (SELECT 1 FROM sealed_records WHERE position = NEW.position OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'sealed records are never replaced'); END;
CREATE TRIGGER checkpoints_not_replaced BEFORE INSERT ON checkpoints
WHEN EXISTS (SELECT 1 FROM checkpoints WHERE size = NEW.size OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'checkpoints are never replaced'); END;

-- UPDATE OR REPLACE does the same, and a trigger on columns does not see `rowid`. Sealed records and checkpoints are never
-- updated at all.
CREATE TRIGGER audit_events_keep_their_key BEFORE UPDATE ON audit_events WHEN OLD.rowid <> NEW.rowid
BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END;
CREATE TRIGGER attempts_keep_their_key BEFORE UPDATE ON attempts WHEN OLD.rowid <> NEW.rowid
BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER sessions_keep_their_key BEFORE UPDATE ON sessions WHEN OLD.rowid <> NEW.rowid OR OLD.id <> NEW.id
BEGIN SELECT RAISE(ABORT, 'the key of a session is never changed'); END;
