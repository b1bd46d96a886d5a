DROP TRIGGER sessions_ended_once ON sessions;
DROP FUNCTION sessions_ended_once();
