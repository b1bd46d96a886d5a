DROP TRIGGER sessions_keep_their_key;
DROP TRIGGER attempts_keep_their_key;
DROP TRIGGER audit_events_keep_their_key;
DROP TRIGGER checkpoints_not_replaced;
DROP TRIGGER sealed_records_not_replaced;
DROP TRIGGER sessions_not_replaced;
DROP TRIGGER attempts_not_replaced;
DROP TRIGGER audit_events_not_replaced;
