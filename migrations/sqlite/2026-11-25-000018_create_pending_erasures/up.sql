-- Who is still to be taken out of the history. `names`: those that only the account had, sealed with the master key; NULL once
-- they are out of it, until the next run of retention has looked for what was still being recorded.
CREATE TABLE pending_erasures (
  user_id   TEXT   NOT NULL PRIMARY KEY CHECK (length(user_id) = 36),
  names     BLOB,
  asked_at  BIGINT NOT NULL
);
INSERT INTO pending_erasures (user_id, asked_at)
SELECT subject_id, max(at) FROM audit_events
WHERE kind = 'user.erased' AND subject_id NOT IN (SELECT id FROM users) GROUP BY subject_id;
