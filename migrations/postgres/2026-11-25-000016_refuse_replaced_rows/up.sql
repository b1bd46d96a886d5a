-- Nothing: PostgreSQL takes a row away by DELETE or UPDATE only, which roles see to (docs/database-roles.md).
SELECT 1;
