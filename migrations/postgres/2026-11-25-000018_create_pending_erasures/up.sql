-- Who is still to be taken out of the history. `names`: those that only the account had, sealed with the master key; NULL once
-- they are out of it, until the next run of retention has looked for what was still being recorded.
CREATE TABLE pending_erasures (
  user_id   UUID        NOT NULL PRIMARY KEY,
  names     BYTEA,
  asked_at  TIMESTAMPTZ NOT NULL
);
INSERT INTO pending_erasures (user_id, asked_at)
SELECT subject_id::uuid, max(at) FROM audit_events
WHERE kind = 'user.erased' AND subject_id::uuid NOT IN (SELECT id FROM users) GROUP BY subject_id;
