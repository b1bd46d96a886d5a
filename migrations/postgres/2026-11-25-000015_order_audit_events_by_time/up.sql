-- Events are listed newest first, by time and then by number: each of these finds the first of a page at once, also where only
-- those before a moment are asked for.
DROP INDEX audit_events_kind;
DROP INDEX audit_events_actor;
DROP INDEX audit_events_subject;
DROP INDEX audit_events_session;
CREATE INDEX audit_events_kind ON audit_events (kind, at, seq);
CREATE INDEX audit_events_actor ON audit_events (actor_id, at, seq);
CREATE INDEX audit_events_subject ON audit_events (subject_id, at, seq);
CREATE INDEX audit_events_session ON audit_events (session_id, at, seq);
