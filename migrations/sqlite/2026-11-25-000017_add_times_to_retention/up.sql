-- The clock as it was when it was believed last, and when a run was last finished. What was recorded so far was believed.
ALTER TABLE retention ADD COLUMN believed_at BIGINT;
ALTER TABLE retention ADD COLUMN ran_at BIGINT;
UPDATE retention SET believed_at = (SELECT max(at) FROM audit_events);
