DELETE FROM deliveries WHERE alert_id IS NULL;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_occasion_check, DROP CONSTRAINT deliveries_occasion_of_alert, DROP CONSTRAINT deliveries_about, DROP CONSTRAINT deliveries_session, DROP CONSTRAINT deliveries_of_user, DROP CONSTRAINT deliveries_of_reviewer, DROP CONSTRAINT deliveries_recipient;
ALTER TABLE deliveries DROP COLUMN user_id;
ALTER TABLE deliveries ALTER COLUMN alert_id SET NOT NULL,
  ADD CONSTRAINT deliveries_occasion_check CHECK (occasion IN ('raised', 'disowned')),
  ADD CONSTRAINT deliveries_check CHECK ((session_id IS NULL) = (channel <> 'user_mail')),
  ADD CONSTRAINT deliveries_check1 CHECK ((recipient IS NULL) = (channel <> 'reviewer_mail'));
