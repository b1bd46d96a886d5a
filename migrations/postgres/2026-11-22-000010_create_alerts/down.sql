DELETE FROM one_time_tokens WHERE purpose = 'not_me';
ALTER TABLE one_time_tokens DROP CONSTRAINT one_time_tokens_session_check;
ALTER TABLE one_time_tokens DROP COLUMN session_id;
ALTER TABLE one_time_tokens DROP CONSTRAINT one_time_tokens_purpose_check;
ALTER TABLE one_time_tokens ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN ('setup', 'reset'));

DELETE FROM throttles WHERE scope = 'overall';
ALTER TABLE throttles DROP COLUMN user_id, DROP COLUMN masked_name, DROP COLUMN network;
ALTER TABLE throttles DROP CONSTRAINT throttles_scope_check;
ALTER TABLE throttles ADD CONSTRAINT throttles_scope_check CHECK (scope IN ('account', 'known_device', 'address', 'network'));

ALTER TABLE users DROP COLUMN email;
DROP TABLE deliveries;
DROP TABLE alerts;
