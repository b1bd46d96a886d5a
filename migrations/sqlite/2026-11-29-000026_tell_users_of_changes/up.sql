-- Users are told of changes of their account too: that belongs to no alert, and goes to the address there was before.
CREATE TABLE deliveries_of_all (
  id            TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  alert_id      TEXT REFERENCES alerts (id) ON DELETE CASCADE,
  -- Whose account was changed.
  user_id       TEXT REFERENCES users (id) ON DELETE CASCADE,
  occasion      TEXT NOT NULL CHECK (occasion IN ('raised', 'disowned', 'password_changed', 'password_reset', 'password_voided', 'email_changed', 'renamed', 'role_changed')),
  channel       TEXT NOT NULL CHECK (channel IN ('webhook', 'reviewer_mail', 'user_mail')),
  -- The reviewer's address; the user's, until the mail is sent or given up.
  recipient     TEXT,
  created_at    BIGINT NOT NULL,
  tries         INTEGER NOT NULL CHECK (tries >= 0),
  next_at       BIGINT NOT NULL,
  delivered_at  BIGINT,
  given_up_at   BIGINT,
  last_fault    TEXT,
  -- The session that the user is told of.
  session_id    TEXT,
  CHECK ((alert_id IS NULL) = (occasion NOT IN ('raised', 'disowned'))),
  CHECK ((alert_id IS NULL) = (user_id IS NOT NULL)),
  CHECK ((alert_id IS NOT NULL AND channel = 'user_mail') = (session_id IS NOT NULL)),
  CHECK (user_id IS NULL OR channel = 'user_mail'),
  CHECK (channel <> 'reviewer_mail' OR recipient IS NOT NULL),
  CHECK (recipient IS NULL OR channel = 'reviewer_mail' OR user_id IS NOT NULL)
);
INSERT INTO deliveries_of_all (id, alert_id, occasion, channel, recipient, created_at, tries, next_at, delivered_at, given_up_at, last_fault, session_id)
  SELECT id, alert_id, occasion, channel, recipient, created_at, tries, next_at, delivered_at, given_up_at, last_fault, session_id FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_of_all RENAME TO deliveries;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX deliveries_created ON deliveries (created_at);
CREATE INDEX deliveries_alert ON deliveries (alert_id);
