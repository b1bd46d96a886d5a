CREATE TABLE one_time_tokens_as_before (
  digest      BLOB   NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
  purpose     TEXT   NOT NULL CHECK (purpose IN ('setup', 'reset')),
  user_id     TEXT   REFERENCES users (id) ON DELETE CASCADE,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  CHECK ((purpose = 'setup') = (user_id IS NULL))
);
INSERT INTO one_time_tokens_as_before
  SELECT digest, purpose, user_id, created_at, expires_at FROM one_time_tokens WHERE purpose <> 'not_me';
DROP TABLE one_time_tokens;
ALTER TABLE one_time_tokens_as_before RENAME TO one_time_tokens;
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id);

CREATE TABLE throttles_as_before (
  scope            TEXT    NOT NULL CHECK (scope IN ('account', 'known_device', 'address', 'network')),
  subject          BLOB    NOT NULL CHECK (length(subject) = 32),
  failures         INTEGER NOT NULL CHECK (failures >= 0),
  window_failures  INTEGER NOT NULL CHECK (window_failures >= 0),
  window_began_at  BIGINT  NOT NULL,
  last_failure_at  BIGINT  NOT NULL,
  closed_until     BIGINT,
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
INSERT INTO throttles_as_before
  SELECT scope, subject, failures, window_failures, window_began_at, last_failure_at, closed_until FROM throttles
  WHERE scope <> 'overall';
DROP TABLE throttles;
ALTER TABLE throttles_as_before RENAME TO throttles;
CREATE INDEX throttles_last_failure ON throttles (last_failure_at);

ALTER TABLE users DROP COLUMN email;
DROP TABLE deliveries;
DROP TABLE alerts;
