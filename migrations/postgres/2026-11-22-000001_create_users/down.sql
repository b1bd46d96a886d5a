DROP TABLE one_time_tokens;
DROP TABLE users;
