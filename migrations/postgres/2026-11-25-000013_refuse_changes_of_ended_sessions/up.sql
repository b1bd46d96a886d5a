-- Roles say who may change or delete rows (docs/database-roles.md), but not which rows: the server changes sessions while
-- they live. Whoever may delete sessions (their owner, retention) may change ended ones too.
CREATE FUNCTION sessions_ended_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_catalog.has_table_privilege(TG_RELID, 'DELETE') THEN
    RAISE EXCEPTION 'permission denied: an ended session is never changed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER sessions_ended_once BEFORE UPDATE ON sessions
FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION sessions_ended_once();
