-- Users are told of changes of their account too: that belongs to no alert, and goes to the address there was before.
ALTER TABLE deliveries ALTER COLUMN alert_id DROP NOT NULL;
ALTER TABLE deliveries ADD COLUMN user_id UUID REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_occasion_check, DROP CONSTRAINT deliveries_check, DROP CONSTRAINT deliveries_check1;
ALTER TABLE deliveries
  ADD CONSTRAINT deliveries_occasion_check CHECK (occasion IN ('raised', 'disowned', 'password_changed', 'password_reset', 'password_voided', 'email_changed', 'renamed', 'role_changed')),
  ADD CONSTRAINT deliveries_occasion_of_alert CHECK ((alert_id IS NULL) = (occasion NOT IN ('raised', 'disowned'))),
  ADD CONSTRAINT deliveries_about CHECK ((alert_id IS NULL) = (user_id IS NOT NULL)),
  ADD CONSTRAINT deliveries_session CHECK ((alert_id IS NOT NULL AND channel = 'user_mail') = (session_id IS NOT NULL)),
  ADD CONSTRAINT deliveries_of_user CHECK (user_id IS NULL OR channel = 'user_mail'),
  ADD CONSTRAINT deliveries_of_reviewer CHECK (channel <> 'reviewer_mail' OR recipient IS NOT NULL),
  ADD CONSTRAINT deliveries_recipient CHECK (recipient IS NULL OR channel = 'reviewer_mail' OR user_id IS NOT NULL);
