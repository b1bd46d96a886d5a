DROP TABLE not_befores;
DROP TABLE access_tokens;
DROP TABLE sessions;
