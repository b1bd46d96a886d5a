-- Each try to log in, successful or not.
CREATE TABLE attempts (
  id          UUID   NOT NULL PRIMARY KEY,
  at          TIMESTAMPTZ NOT NULL,
  -- As typed; a name that no user has is masked.
  username         TEXT COLLATE "C" NOT NULL,
  username_folded  TEXT COLLATE "C" NOT NULL,
  user_id     UUID,
  outcome     TEXT COLLATE "C"   NOT NULL,
  ip          TEXT COLLATE "C"   NOT NULL,
  ip_key      BYTEA   NOT NULL CHECK (octet_length(ip_key) = 16),
  user_agent  TEXT COLLATE "C",
  client_id   TEXT COLLATE "C",
  session_id  UUID,
  request_id  TEXT COLLATE "C"   NOT NULL
);
CREATE INDEX attempts_at ON attempts (at, id);
CREATE INDEX attempts_user ON attempts (user_id, at, id);
CREATE INDEX attempts_name ON attempts (username_folded, at, id);
CREATE INDEX attempts_address ON attempts (ip_key, at, id);
CREATE INDEX attempts_outcome ON attempts (outcome, at, id);

-- Failures counted for an account, an address or a network. `subject` is a keyed digest, so that names which no user
-- has are not kept.
CREATE TABLE throttles (
  scope            TEXT COLLATE "C"    NOT NULL CHECK (scope IN ('account', 'known_device', 'address', 'network')),
  subject          BYTEA    NOT NULL CHECK (octet_length(subject) = 32),
  failures         INTEGER NOT NULL CHECK (failures >= 0),
  window_failures  INTEGER NOT NULL CHECK (window_failures >= 0),
  window_began_at  TIMESTAMPTZ  NOT NULL,
  last_failure_at  TIMESTAMPTZ  NOT NULL,
  closed_until     TIMESTAMPTZ,
  PRIMARY KEY (scope, subject)
);
CREATE INDEX throttles_last_failure ON throttles (last_failure_at);
