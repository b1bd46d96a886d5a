-- Whether what was asked for was done, and why not. Two kinds of events before this were failures.
ALTER TABLE audit_events ADD COLUMN outcome TEXT NOT NULL DEFAULT 'success' CHECK (outcome IN ('success', 'failure'));
ALTER TABLE audit_events ADD COLUMN reason TEXT CHECK (reason IS NULL OR outcome = 'failure');
UPDATE audit_events SET outcome = 'failure', reason = 'session_unknown' WHERE kind = 'session.unknown';
UPDATE audit_events SET outcome = 'failure', reason = 'older_copy' WHERE kind = 'database.went_back';
