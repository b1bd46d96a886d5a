-- Each try to log in, successful or not.
CREATE TABLE attempts (
  id          TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  at          BIGINT NOT NULL,
  -- As typed; a name that no user has is masked.
  username         TEXT NOT NULL,
  username_folded  TEXT NOT NULL,
  user_id     TEXT,
  outcome     TEXT   NOT NULL,
  ip          TEXT   NOT NULL,
  ip_key      BLOB   NOT NULL CHECK (length(ip_key) = 16),
  user_agent  TEXT,
  client_id   TEXT,
  session_id  TEXT,
  request_id  TEXT   NOT NULL
);
CREATE INDEX attempts_at ON attempts (at, id);
CREATE INDEX attempts_user ON attempts (user_id, at, id);
CREATE INDEX attempts_name ON attempts (username_folded, at, id);
CREATE INDEX attempts_address ON attempts (ip_key, at, id);
CREATE INDEX attempts_outcome ON attempts (outcome, at, id);

-- Failures counted for an account, an address or a network. `subject` is a keyed digest, so that names which no user
-- has are not kept.
CREATE TABLE throttles (
  scope            TEXT    NOT NULL CHECK (scope IN ('account', 'known_device', 'address', 'network')),
  subject          BLOB    NOT NULL CHECK (length(subject) = 32),
  failures         INTEGER NOT NULL CHECK (failures >= 0),
  window_failures  INTEGER NOT NULL CHECK (window_failures >= 0),
  window_began_at  BIGINT  NOT NULL,
  last_failure_at  BIGINT  NOT NULL,
  closed_until     BIGINT,
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
CREATE INDEX throttles_last_failure ON throttles (last_failure_at);
