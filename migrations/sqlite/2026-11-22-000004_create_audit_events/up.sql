-- The append-only record. `details` is a JSON object.
CREATE TABLE audit_events (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  at            BIGINT  NOT NULL,
  kind          TEXT    NOT NULL,
  actor_kind    TEXT    NOT NULL,
  actor_id      TEXT    NOT NULL,
  subject_kind  TEXT    NOT NULL,
  subject_id    TEXT,
  session_id    TEXT,
  ip            TEXT,
  request_id    TEXT,
  details       TEXT    NOT NULL CHECK (json_valid(details))
);
CREATE INDEX audit_events_at ON audit_events (at, seq);
CREATE INDEX audit_events_kind ON audit_events (kind, seq);
CREATE INDEX audit_events_actor ON audit_events (actor_id, seq);
CREATE INDEX audit_events_subject ON audit_events (subject_id, seq);
CREATE INDEX audit_events_session ON audit_events (session_id, seq);
