CREATE TABLE deliveries_of_alerts (
  id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  alert_id      TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  occasion      TEXT    NOT NULL CHECK (occasion IN ('raised', 'disowned')),
  channel       TEXT    NOT NULL CHECK (channel IN ('webhook', 'reviewer_mail', 'user_mail')),
  recipient     TEXT,
  created_at    BIGINT  NOT NULL,
  tries         INTEGER NOT NULL CHECK (tries >= 0),
  next_at       BIGINT  NOT NULL,
  delivered_at  BIGINT,
  given_up_at   BIGINT,
  last_fault    TEXT,
  session_id    TEXT,
  CHECK ((session_id IS NULL) = (channel <> 'user_mail')),
  CHECK ((recipient IS NULL) = (channel <> 'reviewer_mail'))
);
INSERT INTO deliveries_of_alerts (id, alert_id, occasion, channel, recipient, created_at, tries, next_at, delivered_at, given_up_at, last_fault, session_id)
  SELECT id, alert_id, occasion, channel, recipient, created_at, tries, next_at, delivered_at, given_up_at, last_fault, session_id FROM deliveries
  WHERE alert_id IS NOT NULL;
DROP TABLE deliveries;
ALTER TABLE deliveries_of_alerts RENAME TO deliveries;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX deliveries_created ON deliveries (created_at);
CREATE INDEX deliveries_alert ON deliveries (alert_id);
