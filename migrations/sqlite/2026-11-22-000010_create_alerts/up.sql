-- Something a reviewer should look at. Of one kind and subject at most one is current: `open_key` names both, and is
-- cleared when the alert is acknowledged or its window has passed.
CREATE TABLE alerts (
  id               TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  kind             TEXT    NOT NULL,
  subject_kind     TEXT    NOT NULL,
  subject_id       TEXT,
  user_id          TEXT,
  session_id       TEXT,
  ip               TEXT,
  raised_at        BIGINT  NOT NULL,
  last_at          BIGINT  NOT NULL,
  occurrences      INTEGER NOT NULL CHECK (occurrences > 0),
  details          TEXT    NOT NULL CHECK (json_valid(details)),
  open_key         TEXT    UNIQUE,
  -- When the user said that the login was not theirs.
  disowned_at      BIGINT,
  acknowledged_at  BIGINT,
  acknowledged_by  TEXT,
  note             TEXT,
  CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL))
);
CREATE INDEX alerts_raised ON alerts (raised_at, id);
CREATE INDEX alerts_open ON alerts (raised_at, id) WHERE acknowledged_at IS NULL;
CREATE INDEX alerts_kind ON alerts (kind, raised_at, id);
CREATE INDEX alerts_session ON alerts (session_id);

-- What is still to be told to others: written with the alert, sent afterwards by whichever node claims it. No address of a
-- user and no secret is kept here.
CREATE TABLE deliveries (
  id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  alert_id      TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  occasion      TEXT    NOT NULL CHECK (occasion IN ('raised', 'disowned')),
  channel       TEXT    NOT NULL CHECK (channel IN ('webhook', 'reviewer_mail', 'user_mail')),
  -- The reviewer's address.
  recipient     TEXT,
  created_at    BIGINT  NOT NULL,
  tries         INTEGER NOT NULL CHECK (tries >= 0),
  next_at       BIGINT  NOT NULL,
  delivered_at  BIGINT,
  given_up_at   BIGINT,
  last_fault    TEXT,
  -- The session that the user is told of.
  session_id    TEXT,
  CHECK ((session_id IS NULL) = (channel <> 'user_mail')),
  CHECK ((recipient IS NULL) = (channel <> 'reviewer_mail'))
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX deliveries_created ON deliveries (created_at);
CREATE INDEX deliveries_alert ON deliveries (alert_id);

-- Where a user is told of a new device.
ALTER TABLE users ADD COLUMN email TEXT;

-- A further scope, the whole server; and what an administrator may be shown: the user of that name or else the masked name,
-- the network in clear.
CREATE TABLE throttles_with_overall (
  scope            TEXT    NOT NULL CHECK (scope IN ('account', 'known_device', 'address', 'network', 'overall')),
  subject          BLOB    NOT NULL CHECK (length(subject) = 32),
  failures         INTEGER NOT NULL CHECK (failures >= 0),
  window_failures  INTEGER NOT NULL CHECK (window_failures >= 0),
  window_began_at  BIGINT  NOT NULL,
  last_failure_at  BIGINT  NOT NULL,
  closed_until     BIGINT,
  user_id          TEXT,
  masked_name      TEXT,
  network          TEXT,
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
INSERT INTO throttles_with_overall (scope, subject, failures, window_failures, window_began_at, last_failure_at, closed_until)
  SELECT scope, subject, failures, window_failures, window_began_at, last_failure_at, closed_until FROM throttles;
DROP TABLE throttles;
ALTER TABLE throttles_with_overall RENAME TO throttles;
CREATE INDEX throttles_last_failure ON throttles (last_failure_at);

-- A further purpose: a user says that a login was not theirs.
CREATE TABLE one_time_tokens_with_not_me (
  digest      BLOB   NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
  purpose     TEXT   NOT NULL CHECK (purpose IN ('setup', 'reset', 'not_me')),
  user_id     TEXT   REFERENCES users (id) ON DELETE CASCADE,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  session_id  TEXT,
  CHECK ((purpose = 'setup') = (user_id IS NULL)),
  CHECK ((purpose = 'not_me') = (session_id IS NOT NULL))
);
INSERT INTO one_time_tokens_with_not_me (digest, purpose, user_id, created_at, expires_at)
  SELECT digest, purpose, user_id, created_at, expires_at FROM one_time_tokens;
DROP TABLE one_time_tokens;
ALTER TABLE one_time_tokens_with_not_me RENAME TO one_time_tokens;
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id);
