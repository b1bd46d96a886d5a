WITH visible AS (
  SELECT oid, relname::text AS of_table, relkind, relrowsecurity
  FROM pg_class
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)
    AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\_%' OR nspname = 'information_schema')
)
SELECT of_table, kind, name, regexp_replace(definition, '\s+', ' ', 'g') AS definition, counts_if_added FROM (
  SELECT of_table, 'table' AS kind, of_table AS name,
         relkind::text || CASE WHEN relrowsecurity THEN ' row security' ELSE '' END AS definition, false AS counts_if_added
  FROM visible
  UNION ALL
  SELECT of_table, 'column', attname::text,
         concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                   (SELECT 'COLLATE ' || collname FROM pg_collation c WHERE c.oid = attcollation AND collname <> 'default'),
                   'DEFAULT ' || pg_get_expr(adbin, adrelid, true), nullif(attidentity::text, ''), nullif(attgenerated::text, '')),
         false
  FROM visible JOIN pg_attribute ON attrelid = visible.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  UNION ALL
  SELECT of_table, 'constraint', conname::text,
         pg_get_constraintdef(c.oid, true) || CASE WHEN convalidated THEN '' ELSE ' not validated' END, true
  FROM visible JOIN pg_constraint c ON conrelid = visible.oid AND contype IN ('p', 'u', 'c', 'f', 'x')
  UNION ALL
  SELECT of_table, 'index', i.relname::text,
         pg_get_indexdef(indexrelid, 0, true) || CASE WHEN indisvalid AND indisready THEN '' ELSE ' invalid' END, indisunique
  FROM visible JOIN pg_index ON indrelid = visible.oid JOIN pg_class i ON i.oid = indexrelid
  UNION ALL
  SELECT of_table, 'trigger', tgname::text,
         concat_ws(' ', pg_get_triggerdef(t.oid, true), tgenabled::text, prosrc), true
  FROM visible JOIN pg_trigger t ON tgrelid = visible.oid AND NOT tgisinternal JOIN pg_proc p ON p.oid = tgfoid
  UNION ALL
  SELECT of_table, 'rule', rulename::text, pg_get_ruledef(r.oid, true), true
  FROM visible JOIN pg_rewrite r ON ev_class = visible.oid
  UNION ALL
  SELECT of_table, 'policy', polname::text, coalesce(pg_get_expr(polqual, polrelid, true), ''), true
  FROM visible JOIN pg_policy ON polrelid = visible.oid
  UNION ALL
  SELECT of_table, 'heir', inhrelid::regclass::text, '', true
  FROM visible JOIN pg_inherits ON inhparent = visible.oid
) AS parts
ORDER BY 1, 2, 3
