DROP INDEX audit_events_kind;
DROP INDEX audit_events_actor;
DROP INDEX audit_events_subject;
DROP INDEX audit_events_session;
CREATE INDEX audit_events_kind ON audit_events (kind, seq);
CREATE INDEX audit_events_actor ON audit_events (actor_id, seq);
CREATE INDEX audit_events_subject ON audit_events (subject_id, seq);
CREATE INDEX audit_events_session ON audit_events (session_id, seq);
